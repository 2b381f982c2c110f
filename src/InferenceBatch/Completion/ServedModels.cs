using System.Collections.Concurrent;
using InferenceBatch.Service;

namespace InferenceBatch.Completion;

/// <summary>
/// Lists the models of services, for completion. A list is kept for some minutes. Completion waits at most a second for the response; if it
/// takes longer, the next completion uses it. A failed request is not an error.
/// </summary>
internal static class ServedModels
{
    private const int MaxKept = 1000;
    private static readonly TimeSpan s_longestWait = TimeSpan.FromMilliseconds(900);
    private static readonly TimeSpan s_longestCall = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_listLifetime = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan s_failureLifetime = TimeSpan.FromSeconds(30);
    private static readonly ConcurrentDictionary<Uri, ModelRequest> s_requests = new();

    public static IReadOnlyList<string> Of(ServiceConnection connection)
    {
        if (!s_requests.TryGetValue(connection.BaseUri, out ModelRequest? request) || request.IsExpired)
        {
            request = new ModelRequest(Task.Run(() => RequestAsync(connection)));
            s_requests[connection.BaseUri] = request;
        }

        TimeSpan left = s_longestWait - request.Age;
        return request.Models.Wait(left > TimeSpan.Zero ? left : TimeSpan.Zero) ? request.Models.Result : [];
    }

    private static async Task<IReadOnlyList<string>> RequestAsync(ServiceConnection connection)
    {
        using var limit = new CancellationTokenSource(s_longestCall);
        try
        {
            IReadOnlyList<string> models = await new BatchClient(connection).ListModelsAsync(RetryPolicy.Once, limit.Token).ConfigureAwait(false);
            return [.. models.Take(MaxKept)];
        }
        catch (Exception)
        {
            return []; // The command itself will report the problem.
        }
    }

    private sealed record ModelRequest(Task<IReadOnlyList<string>> Models)
    {
        private readonly long _startedAt = TimeProvider.System.GetTimestamp();

        public TimeSpan Age => TimeProvider.System.GetElapsedTime(_startedAt);

        public bool IsExpired => Models.IsCompleted && Age > (Models.Result.Count > 0 ? s_listLifetime : s_failureLifetime);
    }
}
