using System.Collections.Concurrent;
using InferenceBatch.Service;

namespace InferenceBatch.Completion;

/// <summary>
/// The models that services have, for completion. Each service is asked once in a while; an answer is waited for at most
/// a second, counted from the asking, and comes with the next completion where it takes longer. No answer is no error.
/// </summary>
internal static class ServedModels
{
    private const int MostKept = 1000;
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(900);
    private static readonly TimeSpan s_longestCall = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_answerHolds = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan s_silenceHolds = TimeSpan.FromSeconds(30);
    private static readonly ConcurrentDictionary<Uri, Asked> s_asked = new();

    public static IReadOnlyList<string> Of(ServiceConnection connection)
    {
        if (!s_asked.TryGetValue(connection.BaseUri, out Asked? asked) || asked.IsOver)
        {
            asked = new Asked(Task.Run(() => AskAsync(connection)));
            s_asked[connection.BaseUri] = asked;
        }

        TimeSpan left = s_patience - asked.Age;
        return asked.Answer.Wait(left > TimeSpan.Zero ? left : TimeSpan.Zero) ? asked.Answer.Result : [];
    }

    private static async Task<IReadOnlyList<string>> AskAsync(ServiceConnection connection)
    {
        using var limit = new CancellationTokenSource(s_longestCall);
        try
        {
            IReadOnlyList<string> models = await new BatchClient(connection).ListModelsAsync(RetryPolicy.Once, limit.Token).ConfigureAwait(false);
            return [.. models.Take(MostKept)];
        }
        catch (Exception)
        {
            return []; // Whatever it is, the call that the person makes will say it.
        }
    }

    private sealed record Asked(Task<IReadOnlyList<string>> Answer)
    {
        private readonly long _at = TimeProvider.System.GetTimestamp();

        public TimeSpan Age => TimeProvider.System.GetElapsedTime(_at);

        public bool IsOver => Answer.IsCompleted && Age > (Answer.Result.Count > 0 ? s_answerHolds : s_silenceHolds);
    }
}
