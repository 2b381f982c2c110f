using System.Collections;
using System.Globalization;
using System.Management.Automation;
using InferenceBatch.Binding;
using InferenceBatch.Completion;
using InferenceBatch.Model;
using InferenceBatch.Session;

namespace InferenceBatch.Cmdlets;

/// <summary>
/// The base of cmdlets that build one request for each input object. A prompt that is there but empty is a prompt: what an empty cell of a table means is the
/// person's to say; only $null, a property that is not there, is <c>PromptMissing</c>.
/// </summary>
public abstract class RequestCommand : ServiceCommand
{
    private const int LongestDescription = 60;

    private PromptMistakeDetector? _firstRows;
    private EndpointShape _shape = EndpointShape.Of("");
    private RequestTemplate? _template;
    private bool _emptyIdWasTold;
    private bool _hasKeys;
    private bool _isPromptNull;

    /// <summary>What a request is made from: a text is its prompt; of another object the parameters name the parts.</summary>
    [Parameter(ValueFromPipeline = true)]
    [AllowNull]
    [AllowEmptyString]
    public object? InputObject { get; set; }

    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [AllowNull]
    [AllowEmptyString]
    public string? Prompt { get; set; }

    /// <summary>The system message (<c>instructions</c> at /v1/responses); none where empty.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [AllowNull]
    [AllowEmptyString]
    public string? SystemPrompt { get; set; }

    /// <summary>Names the request; where empty <c>request-</c> and the position of its input object, counted from 1.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("custom_id")]
    [AllowNull]
    [AllowEmptyString]
    public string? CustomId { get; set; }

    /// <summary>Images for the prompt: addresses (https, data), or local files, which travel inside the request.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [AllowNull]
    [AllowEmptyCollection]
    [AllowEmptyString]
    public string[]? Image { get; set; }

    [Parameter]
    [OneValue]
    [ArgumentCompleter(typeof(ModelCompleter))]
    public string? Model { get; set; }

    /// <summary>What the conversation begins with: objects with <c>role</c> and <c>content</c>. The prompt, if any, follows.</summary>
    [Parameter]
    [OneValue]
    [JsonObjectTransformation(Many = true)]
    [ValidateNotNullOrEmpty]
    public object[]? Message { get; set; }

    [Parameter]
    [OneValue]
    [ValidatePattern("^/")]
    [ArgumentCompleter(typeof(EndpointCompleter))]
    public string Endpoint { get; set; } = "/v1/chat/completions";

    /// <summary>Bounds the answer: <c>max_tokens</c>, at /v1/responses <c>max_output_tokens</c>.</summary>
    [Parameter]
    [ValidateRange(1, int.MaxValue)]
    public int? MaxTokens { get; set; }

    [Parameter]
    [ValidateRange(0.0, double.MaxValue)]
    public double? Temperature { get; set; }

    [Parameter]
    [ValidateRange(0.0, 1.0)]
    public double? TopP { get; set; }

    [Parameter]
    public long? Seed { get; set; }

    [Parameter]
    [OneValue]
    [ValidateNotNullOrEmpty]
    public string[]? Stop { get; set; }

    /// <summary>A JSON schema the answer is to follow, as a hashtable or JSON.</summary>
    [Parameter]
    [OneValue]
    [JsonObjectTransformation]
    [ValidateNotNull]
    public object? ResponseSchema { get; set; }

    /// <summary>Tools, or bare functions, as hashtables or JSON.</summary>
    [Parameter]
    [OneValue]
    [JsonObjectTransformation(Many = true)]
    [ValidateNotNullOrEmpty]
    public object[]? Tool { get; set; }

    /// <summary>Any field the service knows, as a hashtable or JSON; merged last, so that it wins.</summary>
    [Parameter]
    [OneValue]
    [JsonObjectTransformation]
    [ValidateNotNull]
    public object? Body { get; set; }

    /// <summary>The number of the current input object, counted from 1.</summary>
    private protected int InputNumber { get; private set; }

    protected override void BeginProcessing()
    {
        _shape = EndpointShape.Of(Endpoint);
        RefuseWhatTheEndpointLacks();
        SessionMemory.NoteModels([Model]);
        _firstRows = new PromptMistakeDetector(WriteWarning);
        // What the pipeline binds, and script blocks, are bound for each object later.
        _isPromptNull = MyInvocation.BoundParameters.TryGetValue(nameof(Prompt), out object? given) && given is null;
        _template = new RequestTemplate(
            _shape, string.IsNullOrEmpty(Model) ? null : Model, All(Message), Fields(), (RawJson?)Body);
    }

    /// <summary>Builds the request of the current input object; null after an error.</summary>
    private protected BatchRequest? Build()
    {
        InputNumber++;
        object? input = InputObject;
        if (input is PSObject { BaseObject: string or ValueType or IDictionary } wrapped)
        {
            input = wrapped.BaseObject; // A million rows are kept; their wrappers need not be.
        }

        if (InputNumber == 1)
        {
            _firstRows!.TakeTexts(input, (nameof(Prompt), Prompt), (nameof(CustomId), CustomId), (nameof(SystemPrompt), SystemPrompt));
        }

        TakeKeys(input as IDictionary);
        string? prompt = Prompt ?? input as string;
        if (Check(input, prompt) is { } problem)
        {
            if (_isPromptNull && problem.FullyQualifiedErrorId == "PromptMissing")
            {
                ThrowTerminatingError(ErrorRecords.Of("PromptMissing.Null", input));
            }

            _firstRows!.Take(input, hasPrompt: problem.FullyQualifiedErrorId != "PromptMissing");
            WriteError(problem);
            return null;
        }

        _firstRows!.Take(input, hasPrompt: true, Image?.Length > 0 ? null : prompt, SystemPrompt);
        try
        {
            string id = string.IsNullOrEmpty(CustomId) ? string.Create(CultureInfo.InvariantCulture, $"request-{InputNumber}") : CustomId;
            JsonText.Check(id);
            if (!_emptyIdWasTold && string.IsNullOrEmpty(CustomId) && MyInvocation.BoundParameters.ContainsKey(nameof(CustomId)))
            {
                _emptyIdWasTold = true;
                WriteWarning(Messages.Text("Warning.EmptyCustomId", Describe(input), id));
            }

            if (Images(input) is not { } images)
            {
                return null;
            }

            ReadOnlyMemory<byte> body = _template!.Write(prompt, string.IsNullOrEmpty(SystemPrompt) ? null : SystemPrompt, images);
            return new BatchRequest { CustomId = id, Url = Endpoint, BodyUtf8 = body, InputObject = input };
        }
        catch (UnwritableValueException exception)
        {
            WriteError(ErrorRecords.Caused(exception, "InvalidValue.Request", input, Describe(input), exception.Message));
            return null;
        }
    }

    private ErrorRecord? Check(object? input, string? prompt)
    {
        if (!_template!.HasModel && !_shape.ModelIsOptional)
        {
            return ErrorRecords.Of("ModelMissing", input, Describe(input));
        }

        if (prompt is null && Message is null && !_template.HasInput)
        {
            return ErrorRecords.Of("PromptMissing", input, Describe(input), InputFields.Listed(input) is { Length: > 0 } names ? Messages.Text("PromptMissing.Properties", names) : "");
        }

        return _shape.TakesMessages ? null
            : Image?.Length > 0 ? ErrorRecords.Of("ParameterNotForEndpoint.Image", input, Describe(input), Endpoint)
            : !string.IsNullOrEmpty(SystemPrompt) ? ErrorRecords.Of("ParameterNotForEndpoint.SystemPrompt", input, Describe(input), Endpoint)
            : null;
    }

    private List<RequestImage>? Images(object? input)
    {
        var images = new List<RequestImage>(Image?.Length ?? 0);
        foreach (string image in Image ?? [])
        {
            if (string.IsNullOrEmpty(image))
            {
                continue;
            }

            if (RequestImage.IsAddress(image))
            {
                images.Add(RequestImage.FromAddress(image));
            }
            else if (Local(image, input) is { } local)
            {
                images.Add(local);
            }
            else
            {
                return null;
            }
        }

        return images;
    }

    private RequestImage? Local(string path, object? input)
    {
        if (Paths.Output(path) is not { } full)
        {
            return null;
        }

        if (Directory.Exists(full))
        {
            WriteError(ErrorRecords.NotAFile(full));
            return null;
        }

        try
        {
            return RequestImage.FromFile(full);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            WriteError(ErrorRecords.Caused(exception, "FileNotFound.Image", input, Describe(input), full));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            WriteError(ErrorRecords.Caused(exception, "FileUnreadable.Image", input, Describe(input), exception.Message));
        }

        return null;
    }

    private List<KeyValuePair<string, byte[]>> Fields()
    {
        var fields = new List<KeyValuePair<string, byte[]>>();
        Add(_shape.MaxTokensField ?? "", MaxTokens);
        Add("temperature", Temperature);
        Add("top_p", TopP);
        Add("seed", Seed);
        Add("stop", Stop);
        if (ResponseSchema is RawJson schema)
        {
            fields.Add(new(_shape.IsResponses ? "text" : "response_format", ResponseFormat.FromSchema(schema, _shape)));
        }

        if (Tool is not null)
        {
            fields.Add(new("tools", ResponseFormat.FromTools(All(Tool), _shape)));
        }

        return fields;

        void Add(string name, object? value)
        {
            if (value is not null)
            {
                fields.Add(new(name, ObjectJson.ToUtf8(value)));
            }
        }
    }

    private void RefuseWhatTheEndpointLacks()
    {
        string? parameter = MaxTokens is not null && _shape.MaxTokensField is null ? nameof(MaxTokens)
            : _shape.TakesMessages ? null
            : Message is not null ? nameof(Message)
            : ResponseSchema is not null ? nameof(ResponseSchema)
            : Tool is not null ? nameof(Tool)
            : null;
        if (parameter is not null)
        {
            ThrowTerminatingError(ErrorRecords.Of("ParameterNotForEndpoint", Endpoint, Endpoint, parameter));
        }
    }

    private protected string Describe(object? input)
    {
        if (input is null or IDictionary)
        {
            return Messages.Text("Input", InputNumber);
        }

        string text = input.ToString()?.ReplaceLineEndings(" ") ?? "";
        return Messages.Text("Input.Described", InputNumber, text.Length > LongestDescription ? text[..LongestDescription] + "…" : text);
    }

    /// <summary>The keys of a dictionary stand for properties: PowerShell binds those of objects alone.</summary>
    private void TakeKeys(IDictionary? row)
    {
        if (row is null && !_hasKeys)
        {
            return;
        }

        _hasKeys = row is not null;
        Dictionary<string, object> given = MyInvocation.BoundParameters;
        Prompt = given.ContainsKey(nameof(Prompt)) ? Prompt : InputFields.ValueOf<string>(row, nameof(Prompt));
        SystemPrompt = given.ContainsKey(nameof(SystemPrompt)) ? SystemPrompt : InputFields.ValueOf<string>(row, nameof(SystemPrompt));
        CustomId = given.ContainsKey(nameof(CustomId)) ? CustomId : InputFields.ValueOf<string>(row, nameof(CustomId)) ?? InputFields.ValueOf<string>(row, "custom_id");
        Image = given.ContainsKey(nameof(Image)) ? Image : InputFields.ValueOf<string[]>(row, nameof(Image));
    }

    private static RawJson[] All(object[]? values) =>
        values is null ? [] : [.. values.Select(value => (RawJson)(value is PSObject wrapped ? wrapped.BaseObject : value))];
}
