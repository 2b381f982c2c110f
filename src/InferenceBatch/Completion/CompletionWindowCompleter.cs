namespace InferenceBatch.Completion;

/// <summary>Completes the completion windows that the documentation of the service lists. Other values are possible.</summary>
public sealed class CompletionWindowCompleter : Completer
{
    private protected override IEnumerable<(string Word, string Note)> Words(TypedCommand command) =>
        command.Profile.CompletionWindows.Select(window => (window, $"accepted by {command.Profile}"));
}
