using System.Management.Automation;
using InferenceBatch.Model;

namespace InferenceBatch.Cmdlets;

/// <summary>
/// The errors of single input objects. If the first ten input objects all fail for the same reason, the mistake is in the command, not in the
/// rows. Then one terminating error replaces the errors of all rows. So the first errors are held back until a row succeeds, the reason changes,
/// or the input ends.
/// </summary>
/// <param name="write">Writes a non-terminating error.</param>
/// <param name="end">Ends the command with an error; does not return.</param>
internal sealed class RowErrors(Action<ErrorRecord> write, Action<ErrorRecord> end)
{
    private const int RowsToCheck = 10;

    private readonly List<ErrorRecord> _held = [];
    private bool _isOver;

    /// <summary>Reports the error of an input object.</summary>
    /// <param name="error">The error; those with the same ID have the same reason.</param>
    public void Add(ErrorRecord error)
    {
        if (_isOver || (_held.Count > 0 && _held[0].FullyQualifiedErrorId != error.FullyQualifiedErrorId))
        {
            Release();
            write(error);
            return;
        }

        _held.Add(error);
        if (_held.Count == RowsToCheck)
        {
            ErrorRecord first = _held[0];
            _held.Clear();
            string message = Messages.Text("Input.AllFailed", RowsToCheck, first.Exception.Message);
            end(ErrorRecords.PassOn(first.FullyQualifiedErrorId, first.TargetObject, new InvalidOperationException(message, first.Exception)));
        }
    }

    /// <summary>Writes the errors that are held back: an input object was good, or there are no more.</summary>
    public void Release()
    {
        _isOver = true;
        foreach (ErrorRecord error in _held)
        {
            write(error);
        }

        _held.Clear();
    }
}
