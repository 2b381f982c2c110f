using System.Text;
using Spectre.Console;

namespace InferenceBatch.Server.Cli;

/// <summary>Standard error while a progress bar is drawn there. It writes complete lines above the bar, because other text would damage the bar.</summary>
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

    /// <summary>Replaces the row of the bar with the line; the bar is drawn again below it.</summary>
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

    /// <summary>Writes the text without interruption, so that lines of several threads are not mixed.</summary>
    public override void Write(string? value)
    {
        lock (_gate)
        {
            base.Write(value);
        }
    }

    public override void WriteLine(string? value) => Write(value + "\n");
}
