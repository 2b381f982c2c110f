using System.Text.Json;
using InferenceBatch.Wire;
using Microsoft.AspNetCore.WebUtilities;

namespace InferenceBatch.Server.Statistics;

/// <summary>Counts the errors of a batch by code, and keeps the last ones. Its size is limited, whatever the upstream sends.</summary>
/// <remarks>Not safe for several threads.</remarks>
internal sealed class ErrorTally
{
    private const int MaxCodes = 50;
    private const int MaxLastErrors = 5;
    private const int MaxMessage = 200;
    private const string OtherCode = "other";

    private readonly Dictionary<(string Code, int? StatusCode), (long Count, string Message)> _codes = [];
    private readonly Queue<(int Line, string Code, int? StatusCode, string Message)> _last = new();

    /// <param name="line">The number of the input line.</param>
    /// <param name="outcome">The outcome, which must not be a success.</param>
    public void Add(int line, in LineOutcome outcome)
    {
        string code = outcome.ErrorCode!;
        string message = outcome.StatusCode is { } status ? MessageOf(status) : TextCut.Start(outcome.Message!, MaxMessage);
        (string Code, int? StatusCode) key = (code, outcome.StatusCode);
        if (!_codes.ContainsKey(key) && _codes.Count >= MaxCodes)
        {
            key = (OtherCode, null);
        }

        _codes[key] = (_codes.GetValueOrDefault(key).Count + 1, key.Code == OtherCode ? "Other errors." : message);
        if (code is LineOutcome.ExpiredCode or LineOutcome.CancelledCode)
        {
            return; // This says how the batch ended, and would displace the errors that the lines met before.
        }

        _last.Enqueue((line, code, outcome.StatusCode, message));
        if (_last.Count > MaxLastErrors)
        {
            _last.Dequeue();
        }
    }

    /// <summary>Writes <c>error_codes</c>, the most frequent first, and <c>last_errors</c>, the newest first.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartArray("error_codes");
        foreach (((string code, int? status), (long count, string message)) in
            _codes.OrderByDescending(pair => pair.Value.Count).ThenBy(pair => pair.Key.Code, StringComparer.Ordinal))
        {
            json.WriteStartObject();
            WriteError(json, code, status, message);
            json.WriteNumber("count", count);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("last_errors");
        foreach ((int line, string code, int? status, string message) in _last.Reverse())
        {
            json.WriteStartObject();
            json.WriteNumber("line", line);
            WriteError(json, code, status, message);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteError(Utf8JsonWriter json, string code, int? status, string message)
    {
        json.WriteString("code", code);
        if (status is { } some)
        {
            json.WriteNumber("status_code", some);
        }
        else
        {
            json.WriteNull("status_code");
        }

        json.WriteString("message", message);
    }

    private static string MessageOf(int status) => ReasonPhrases.GetReasonPhrase(status) is { Length: > 0 } phrase
        ? $"The upstream answered {status} {phrase}." : $"The upstream answered {status}.";
}
