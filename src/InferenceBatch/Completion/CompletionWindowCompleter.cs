namespace InferenceBatch.Completion;

/// <summary>Completes the completion windows that the documents of the service at hand name; any other can be typed.</summary>
public sealed class CompletionWindowCompleter : Completer
{
    private protected override IEnumerable<(string Word, string Note)> Words(TypedCommand command) =>
        command.Profile.CompletionWindows.Select(window => (window, $"taken by {command.Profile}"));
}
