using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>A value that JSON or UTF-8 cannot represent. The message says which value, and where it is.</summary>
internal sealed class UnwritableValueException(string problem) : Exception
{
    private string _place = "";

    public override string Message => _place.Length == 0 ? Messages.Text("Unwritable", problem) : Messages.Text("Unwritable.At", _place, problem);

    /// <summary>Puts an outer name before the path of the value. Called from the innermost level outward.</summary>
    public void Within(string place) =>
        _place = _place.Length == 0 || _place[0] == '[' ? place + _place : $"{place}.{_place}";
}
