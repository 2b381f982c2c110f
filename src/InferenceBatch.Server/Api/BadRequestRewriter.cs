using System.Diagnostics;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace InferenceBatch.Server.Api;

/// <summary>
/// Adds a JSON error to the requests that Kestrel refuses before any middleware runs: invalid HTTP, and headers that never
/// end or are too large. Kestrel answers these with an empty body. It reports each on its diagnostic listener; the
/// response that it then writes is replaced.
/// </summary>
internal sealed class BadRequestRewriter : IObserver<KeyValuePair<string, object?>>
{
    private const string BadRequest = "Microsoft.AspNetCore.Server.Kestrel.BadRequest";

    /// <summary>Starts to observe Kestrel; dispose the returned object to stop.</summary>
    public static IDisposable Watch(DiagnosticListener listener) => listener.Subscribe(new BadRequestRewriter(), name => name == BadRequest);

    /// <summary>Connection middleware: wraps the output of each connection in a <see cref="ReplaceableOutput"/>.</summary>
    public static ConnectionDelegate Prepare(ConnectionDelegate next) => async connection =>
    {
        var output = new ReplaceableOutput(connection.Transport.Output);
        connection.Transport = new DuplexPipe(connection.Transport.Input, output);
        connection.Features.Set(output);
        await next(connection);
    };

    public void OnNext(KeyValuePair<string, object?> value)
    {
        // Once a response has started, Kestrel closes the connection and writes nothing that could be replaced.
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
