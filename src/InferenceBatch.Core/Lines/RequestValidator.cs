using System.Text;
using System.Text.Json;
using InferenceBatch.Wire;

namespace InferenceBatch.Lines;

/// <summary>
/// Checks the requests of one file: the fields of each request, and that its <c>custom_id</c>, endpoint and model are consistent
/// with the requests before it.
/// </summary>
internal sealed class RequestValidator(ValidationRules rules, IssueList issues)
{
    private const int MaxModelsListed = 100;

    /// <summary>The maximum number of characters of a value from the file that a message repeats.</summary>
    private const int MaxQuoteLength = 100;

    private readonly Utf8KeyMap _ids = new();
    private readonly List<string> _models = [];
    private byte[] _lastModel = [];
    private bool _lastModelIsFirst;
    private byte[]? _endpoint = rules.Endpoint is { } endpoint ? Encoding.UTF8.GetBytes(endpoint) : null;

    /// <summary>The endpoint of the rules, or that of the first valid line; null if there is none.</summary>
    public string? Endpoint => _endpoint is null ? null : Encoding.UTF8.GetString(_endpoint);

    /// <summary>The models in order of appearance, 100 at most.</summary>
    public IReadOnlyList<string> Models => _models;

    /// <summary>The number of lines without <c>url</c>, if the rules allow that.</summary>
    public int LinesWithoutUrl { get; private set; }

    public int FirstLineWithoutUrl { get; private set; }

    /// <summary>Checks one request, and adds what is wrong with it to the issues.</summary>
    public void Check(int line, in RequestLine request)
    {
        int errorsBefore = issues.ErrorCount;
        CheckShape(line, in request);
        CheckEndpoint(line, in request);
        CheckModel(line, in request);
        if (request.CustomId.Length > 0 && !_ids.TryAdd(request.CustomId, line, out int first))
        {
            Add(line, in request, IssueCodes.DuplicateCustomId,
                $"The custom_id '{Quote(request.CustomId)}' is already used on line {first}. Each custom_id must be unique in the file.", "custom_id");
        }

        if (issues.ErrorCount == errorsBefore)
        {
            CheckBody(line, in request);
        }
    }

    private void CheckShape(int line, in RequestLine request)
    {
        if (RequireString(line, in request, request.IdKind, "custom_id", request.CustomId.Length))
        {
            CheckLength(line, request.CustomId, "custom_id");
        }

        if (request.MethodKind is not (JsonTokenType.None or JsonTokenType.Null) || !rules.MethodIsOptional)
        {
            RequireString(line, in request, request.MethodKind, "method", 1);
        }

        if (request.MethodKind == JsonTokenType.String && !request.IsPost)
        {
            Add(line, in request, IssueCodes.InvalidRequest, "The method must be 'POST'.", "method");
        }

        if (request.BodyKind != JsonTokenType.StartObject)
        {
            AddInvalid(line, in request, request.BodyKind, "body", JsonTokenType.StartObject);
        }
        else if (request.IsStreaming)
        {
            Add(line, in request, IssueCodes.StreamingUnsupported, "A batch cannot stream responses. Remove 'stream' from the body.", "body.stream");
        }
    }

    private void CheckEndpoint(int line, in RequestLine request)
    {
        if (request.UrlKind is JsonTokenType.None or JsonTokenType.Null && rules.UrlIsOptional)
        {
            FirstLineWithoutUrl = LinesWithoutUrl++ == 0 ? line : FirstLineWithoutUrl;
            return;
        }

        if (!RequireString(line, in request, request.UrlKind, "url", 1))
        {
            return;
        }

        ReadOnlySpan<byte> url = request.Url;
        if (_endpoint is null && IsServed(url))
        {
            _endpoint = url.ToArray();
        }

        if (_endpoint is null)
        {
            Add(line, in request, IssueCodes.InvalidUrl,
                $"The url '{Quote(url)}' is not an endpoint for batches. Use one of: {string.Join(", ", rules.Endpoints)}.", "url");
        }
        else if (!url.SequenceEqual(_endpoint) && !SameWithoutVersion(url, _endpoint))
        {
            Add(line, in request, IssueCodes.InvalidUrl,
                $"The URL provided for this request does not match the batch endpoint. The line has '{Quote(url)}', but the batch endpoint is '{Text(_endpoint)}'.",
                "url");
        }
    }

    private void CheckModel(int line, in RequestLine request)
    {
        if (request.BodyKind != JsonTokenType.StartObject)
        {
            return;
        }

        if (request.ModelKind != JsonTokenType.String || request.Model.IsEmpty)
        {
            if (!request.Url.EndsWith("/moderations"u8))
            {
                AddInvalid(line, in request, request.ModelKind, "body.model", JsonTokenType.String);
            }

            return;
        }

        if (!CheckLength(line, request.Model, "body.model"))
        {
            return;
        }

        if (!request.Model.SequenceEqual(_lastModel))
        {
            _lastModel = request.Model.ToArray();
            string model = Text(_lastModel)!;
            bool isNew = !_models.Contains(model) && _models.Count < MaxModelsListed;
            if (isNew)
            {
                _models.Add(model);
            }

            _lastModelIsFirst = model == _models[0];
            if (isNew && !_lastModelIsFirst && !rules.OneModelOnly)
            {
                AddMismatch(line, in request, "Some services accept only one model per file.", IssueSeverity.Warning);
            }
        }

        if (rules.OneModelOnly && !_lastModelIsFirst)
        {
            AddMismatch(line, in request, "This service accepts only one model per file. Put each model in a file of its own.", IssueSeverity.Error);
        }
    }

    private void CheckBody(int line, in RequestLine request)
    {
        if (rules.ChecksBodies && request.BodyKind == JsonTokenType.StartObject
            && BodyRules.Check(request.UrlKind == JsonTokenType.String ? request.Url : _endpoint, in request) is { } problem)
        {
            Add(line, in request, problem.Code, problem.Message, problem.Param);
        }
    }

    private void AddMismatch(int line, in RequestLine request, string consequence, IssueSeverity severity) => Add(
        line, in request, IssueCodes.MismatchedModel,
        $"The model is '{Quote(request.Model)}', but the first model in the file is '{TextCut.Start(_models[0], MaxQuoteLength)}'. {consequence}", "body.model", severity);

    private bool IsServed(ReadOnlySpan<byte> url)
    {
        foreach (string endpoint in rules.Endpoints)
        {
            byte[] served = Encoding.UTF8.GetBytes(endpoint);
            if (url.SequenceEqual(served) || SameWithoutVersion(url, served))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Azure omits <c>/v1</c> from the url of a line; with or without it, the endpoint is the same.</summary>
    private static bool SameWithoutVersion(ReadOnlySpan<byte> url, ReadOnlySpan<byte> endpoint) =>
        WithoutVersion(url).SequenceEqual(WithoutVersion(endpoint));

    private static ReadOnlySpan<byte> WithoutVersion(ReadOnlySpan<byte> url) => url.StartsWith("/v1/"u8) ? url[3..] : url;

    private bool RequireString(int line, in RequestLine request, JsonTokenType kind, string name, int length)
    {
        if (kind == JsonTokenType.String && length > 0)
        {
            return true;
        }

        AddInvalid(line, in request, kind, name, JsonTokenType.String);
        return false;
    }

    private bool CheckLength(int line, ReadOnlySpan<byte> name, string param)
    {
        if (name.Length <= rules.MaxNameLength)
        {
            return true;
        }

        int length = Encoding.UTF8.GetString(name).EnumerateRunes().Count();
        if (length <= rules.MaxNameLength)
        {
            return true;
        }

        issues.Add(new LineIssue(line, null, IssueCodes.NameTooLong,
            $"Invalid '{param}': string too long. Expected a string with maximum length {rules.MaxNameLength}, but got a string with length {length}.",
            IssueSeverity.Error, param));
        return false;
    }

    /// <summary>Adds that a value is missing, has the wrong type, or is an empty string.</summary>
    private void AddInvalid(int line, in RequestLine request, JsonTokenType kind, string name, JsonTokenType expected)
    {
        if (kind is JsonTokenType.None or JsonTokenType.Null)
        {
            Add(line, in request, IssueCodes.MissingParameter, $"Missing required parameter: '{name}'.", name);
            return;
        }

        string problem = kind == expected ? "the string must not be empty" : $"expected {NameOf(expected)}, but got {NameOf(kind)}";
        Add(line, in request, IssueCodes.InvalidRequest, $"Invalid value for '{name}': {problem}.", name);
    }

    private static string NameOf(JsonTokenType kind) => kind switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => "a number",
        _ => "a boolean",
    };

    private void Add(int line, in RequestLine request, string code, string message, string param, IssueSeverity severity = IssueSeverity.Error) =>
        issues.Add(new LineIssue(line, Text(request.CustomId), code, message, severity, param));

    private static string? Quote(ReadOnlySpan<byte> utf8) => Text(utf8) is { } text ? TextCut.Start(text, MaxQuoteLength) : null;

    private static string? Text(ReadOnlySpan<byte> utf8) => utf8.IsEmpty ? null : Encoding.UTF8.GetString(utf8);
}
