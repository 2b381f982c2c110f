using System.Collections;
using System.Globalization;
using System.Management.Automation;
using InferenceBatch.Binding;
using InferenceBatch.Completion;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Session;
using InferenceBatch.Wire;

namespace InferenceBatch.Cmdlets;

/// <summary>
/// The base of cmdlets that build one request for each input object. An empty prompt is valid, because only the user knows what an empty
/// cell of a table means. Only $null, such as from a property that does not exist, is <c>PromptMissing</c>.
/// </summary>
public abstract class RequestCommand : ServiceCommand
{
    private const int LongestDescription = 60;

    private PromptMistakeDetector? _mistakes;
    private ImageReader? _images;
    private EndpointShape _shape = EndpointShape.Of("");
    private RequestTemplate? _template;
    private bool _hasWarnedOfEmptyId;
    private bool _isFromKeys;
    private bool _isPromptNull;

    /// <summary>The object to build a request from. A string is the prompt. For other objects, parameters select the parts.</summary>
    [Parameter(ValueFromPipeline = true)]
    [AllowNull]
    [AllowEmptyString]
    public object? InputObject { get; set; }

    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [AllowNull]
    [AllowEmptyString]
    public string? Prompt { get; set; }

    /// <summary>The system message (<c>instructions</c> for /v1/responses). If empty, there is none.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [AllowNull]
    [AllowEmptyString]
    public string? SystemPrompt { get; set; }

    /// <summary>The ID of the request. If empty, it is <c>request-</c> and the position of the input object, counted from 1.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("custom_id")]
    [AllowNull]
    [AllowEmptyString]
    public string? CustomId { get; set; }

    /// <summary>Images for the prompt: addresses (https, data), or local files, whose content becomes part of the request.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [AllowNull]
    [AllowEmptyCollection]
    [AllowEmptyString]
    public string[]? Image { get; set; }

    [Parameter]
    [OneValue]
    [ArgumentCompleter(typeof(ModelCompleter))]
    public string? Model { get; set; }

    /// <summary>The messages at the start of the conversation: objects with <c>role</c> and <c>content</c>. The prompt, if any, follows.</summary>
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

    /// <summary>The maximum length of an answer in tokens: <c>max_tokens</c>, <c>max_completion_tokens</c> or <c>max_output_tokens</c>.</summary>
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

    /// <summary>A JSON schema for the answer, as a hashtable or JSON.</summary>
    [Parameter]
    [OneValue]
    [JsonObjectTransformation]
    [ValidateNotNull]
    public object? ResponseSchema { get; set; }

    /// <summary>Tools, or only their functions, as hashtables or JSON.</summary>
    [Parameter]
    [OneValue]
    [JsonObjectTransformation(Many = true)]
    [ValidateNotNullOrEmpty]
    public object[]? Tool { get; set; }

    /// <summary>Additional fields of the body, as a hashtable or JSON. They are merged last and override all other parameters.</summary>
    [Parameter]
    [OneValue]
    [JsonObjectTransformation]
    [ValidateNotNull]
    public object? Body { get; set; }

    /// <summary>The number of the current input object, counted from 1.</summary>
    private protected int InputNumber { get; private set; }

    /// <summary>Gets the profile of the service that the requests are meant for; null if none was chosen. Read in <see cref="BeginProcessing"/>.</summary>
    private protected abstract ServiceProfile? TargetProfile { get; }

    protected override void BeginProcessing()
    {
        _shape = EndpointShape.Of(Endpoint);
        RefuseParametersNotForEndpoint();
        SessionMemory.NoteModels([Model]);
        _mistakes = new PromptMistakeDetector(WriteWarning);
        // Only a value from the command line is in BoundParameters here: script blocks and pipeline values are bound later, for each object.
        _isPromptNull = MyInvocation.BoundParameters.TryGetValue(nameof(Prompt), out object? given) && given is null;
        _images = new ImageReader(Paths, WriteError, Describe);
        _template = new RequestTemplate(
            _shape, string.IsNullOrEmpty(Model) ? null : Model, All(Message), Fields(), (RawJson?)Body);
    }

    /// <summary>Returns the request for the current input object; null after an error.</summary>
    private protected BatchRequest? Build()
    {
        InputNumber++;
        object? input = InputObject;
        if (input is PSObject { BaseObject: string or ValueType or IDictionary } wrapped)
        {
            input = wrapped.BaseObject; // A command may keep a million of them: do not keep the wrappers as well.
        }

        if (InputNumber == 1)
        {
            _mistakes!.TakeTexts(input, (nameof(Prompt), Prompt), (nameof(CustomId), CustomId), (nameof(SystemPrompt), SystemPrompt));
        }

        BindKeys(input as IDictionary);
        string? prompt = Prompt ?? input as string;
        if (Check(input, prompt) is { } problem)
        {
            if (_isPromptNull && problem.FullyQualifiedErrorId == "PromptMissing")
            {
                ThrowTerminatingError(ErrorRecords.Of("PromptMissing.Null", input));
            }

            _mistakes!.Take(input, hasPrompt: problem.FullyQualifiedErrorId != "PromptMissing");
            WriteError(problem);
            return null;
        }

        _mistakes!.Take(input, hasPrompt: true, Image?.Length > 0 ? null : prompt, SystemPrompt);
        try
        {
            string id = string.IsNullOrEmpty(CustomId) ? string.Create(CultureInfo.InvariantCulture, $"request-{InputNumber}") : CustomId;
            JsonText.Check(id);
            if (!_hasWarnedOfEmptyId && string.IsNullOrEmpty(CustomId) && MyInvocation.BoundParameters.ContainsKey(nameof(CustomId)))
            {
                _hasWarnedOfEmptyId = true;
                WriteWarning(Messages.Text("Warning.EmptyCustomId", Describe(input), id));
            }

            if (_images!.Read(Image, input) is not { } images)
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

    private List<KeyValuePair<string, byte[]>> Fields()
    {
        var fields = new List<KeyValuePair<string, byte[]>>();
        Add(MaxTokens is null ? "" : MaxTokensField(), MaxTokens);
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

    /// <summary>Returns the name of the field for -MaxTokens, which reasoning models of some services require to be another one.</summary>
    private string MaxTokensField()
    {
        string field = _shape.MaxTokensField!;
        string? model = (Body as RawJson)?.TextOf("model") ?? Model;
        if (!_shape.IsChat || model is null || !ServiceProfile.IsReasoningModel(model))
        {
            return field;
        }

        if (TargetProfile is not { } profile)
        {
            WriteWarning(Messages.Text("Warning.MaxTokensRefused", model, MaxTokens));
            return field;
        }

        return profile.ReasoningModelsRefuseMaxTokens ? "max_completion_tokens" : field;
    }

    private void RefuseParametersNotForEndpoint()
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
        return Messages.Text("Input.Described", InputNumber, text.Length > LongestDescription ? TextCut.Start(text, LongestDescription) + "…" : text);
    }

    /// <summary>Binds the keys of a dictionary by name, because PowerShell binds only properties.</summary>
    private void BindKeys(IDictionary? row)
    {
        if (row is null && !_isFromKeys)
        {
            return;
        }

        _isFromKeys = row is not null;
        Dictionary<string, object> given = MyInvocation.BoundParameters;
        Prompt = given.ContainsKey(nameof(Prompt)) ? Prompt : InputFields.ValueOf<string>(row, nameof(Prompt));
        SystemPrompt = given.ContainsKey(nameof(SystemPrompt)) ? SystemPrompt : InputFields.ValueOf<string>(row, nameof(SystemPrompt));
        CustomId = given.ContainsKey(nameof(CustomId)) ? CustomId : InputFields.ValueOf<string>(row, nameof(CustomId)) ?? InputFields.ValueOf<string>(row, "custom_id");
        Image = given.ContainsKey(nameof(Image)) ? Image : InputFields.ValueOf<string[]>(row, nameof(Image));
    }

    private static RawJson[] All(object[]? values) =>
        values is null ? [] : [.. values.Select(value => (RawJson)(value is PSObject wrapped ? wrapped.BaseObject : value))];
}
