using System.Text;
using Spectre.Console;

namespace InferenceBatch.Server.Cli;

/// <summary>Standard error while a bar is drawn there: whole lines go above the bar, which would be torn and left behind otherwise.</summary>
internal sealed class TextAboveBar(IAnsiConsole console) : TextWriter
{
    private const string EraseToEndOfRow = "\u001b[K";

    private readonly StringBuilder _line = new();
    private readonly Lock _gate = new();

    public override Encoding Encoding => Encoding.UTF8;

    public override void Write(char value)
    {
        lock (_gate)
        {
            if (value != '\n')
            {
                _line.Append(value);
                return;
            }

            Show(_line.ToString().TrimEnd('\r'));
            _line.Clear();
        }
    }

    /// <summary>The line takes the bar's row, which it erases; the bar is drawn below it.</summary>
    private void Show(string line)
    {
        if (console.Profile.Capabilities.Ansi)
        {
            console.Write(new ControlCode(line + EraseToEndOfRow + "\n"));
        }
        else
        {
            console.WriteLine(line);
        }
    }

    /// <summary>As one, so that lines of several threads do not mix.</summary>
    public override void Write(string? value)
    {
        lock (_gate)
        {
            base.Write(value);
        }
    }

    public override void WriteLine(string? value) => Write(value + "\n");
}
