using System.Diagnostics;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace InferenceBatch.Server.Api;

/// <summary>
/// Gives the requests that Kestrel refuses before any middleware sees them (no HTTP, a head that never ends, a head too
/// large for it) the same JSON error as all others: Kestrel itself answers those with an empty body. It announces each
/// on its diagnostic listener, and what it writes after that is replaced.
/// </summary>
internal sealed class BadRequestRewriter : IObserver<KeyValuePair<string, object?>>
{
    private const string BadRequest = "Microsoft.AspNetCore.Server.Kestrel.BadRequest";

    /// <summary>Listens to Kestrel; dispose the answer to stop.</summary>
    public static IDisposable Watch(DiagnosticListener listener) => listener.Subscribe(new BadRequestRewriter(), name => name == BadRequest);

    /// <summary>Connection middleware: puts a <see cref="ReplaceableOutput"/> under each connection.</summary>
    public static ConnectionDelegate Prepare(ConnectionDelegate next) => async connection =>
    {
        var output = new ReplaceableOutput(connection.Transport.Output);
        connection.Transport = new DuplexPipe(connection.Transport.Input, output);
        connection.Features.Set(output);
        await next(connection);
    };

    public void OnNext(KeyValuePair<string, object?> value)
    {
        // After a response has begun there is nothing to replace: Kestrel closes the connection.
        if (value.Value is IFeatureCollection features
            && features.Get<IHttpResponseFeature>() is { HasStarted: false }
            && features.Get<IBadRequestExceptionFeature>()?.Error is BadHttpRequestException error
            && features.Get<ReplaceableOutput>() is { } output)
        {
            output.Replace(JsonResponses.RawError(error.StatusCode));
        }
    }

    public void OnError(Exception error)
    {
    }

    public void OnCompleted()
    {
    }

    private sealed record DuplexPipe(System.IO.Pipelines.PipeReader Input, System.IO.Pipelines.PipeWriter Output) : System.IO.Pipelines.IDuplexPipe;
}
