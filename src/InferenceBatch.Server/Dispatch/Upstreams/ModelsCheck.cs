using System.Globalization;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>Requests the list of models to learn the state of an upstream without a line.</summary>
internal sealed class ModelsCheck(IUpstream upstream, TimeProvider time)
{
    /// <summary>Sends the request.</summary>
    /// <param name="timeout">How long to wait for the response.</param>
    /// <param name="isRefusing">Whether the upstream currently refuses lines (<see cref="UpstreamState.Refusing"/>).</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    /// <returns>What the response says, and whether it proves that the key is valid.</returns>
    public async Task<(Attempt Attempt, bool IsKeyProven)> SendAsync(TimeSpan timeout, Func<bool> isRefusing, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            using UpstreamAnswer answer = await upstream.ListModelsAsync(either.Token);
            bool isRefused = isRefusing();
            // A server without this route is up all the same. 403: some keys allow everything except this.
            Attempt attempt = answer.StatusCode is 404 or 405 || (answer.StatusCode == 403 && !isRefused)
                ? new Attempt(AttemptKind.Answered, "") : Attempt.Of(answer, answer.StatusCode, isAnswer: true);
            return (attempt, attempt.IsSuccess && isRefused && await IsKeyRequiredAsync(either.Token));
        }
        catch (UpstreamException exception)
        {
            return (Attempt.Of(exception), false);
        }
        catch (OperationCanceledException)
        {
            string reason = string.Create(CultureInfo.InvariantCulture, $"It did not list its models within {timeout.TotalSeconds:0} s.");
            return (new Attempt(AttemptKind.Unreachable, reason), false);
        }
    }

    /// <summary>Whether the list of models is not public: then a key that gets it is valid.</summary>
    private async Task<bool> IsKeyRequiredAsync(CancellationToken cancellationToken)
    {
        using UpstreamAnswer answer = await upstream.ListModelsAsync(cancellationToken, withKey: false);
        return answer.StatusCode is 401 or 403;
    }
}
