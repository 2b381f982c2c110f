using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>A value that JSON or UTF-8 cannot carry; the message says which, and where it stands.</summary>
internal sealed class UnwritableValueException(string problem) : Exception
{
    private string _place = "";

    public override string Message => _place.Length == 0 ? Messages.Text("Unwritable", problem) : Messages.Text("Unwritable.At", _place, problem);

    /// <summary>Says what the place known so far stands in; called from the inside out.</summary>
    public void Within(string place) =>
        _place = _place.Length == 0 || _place[0] == '[' ? place + _place : $"{place}.{_place}";
}
