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
    private RowErrors? _errors;
    private RowErrors? _duplicates;
    private int _accepted;
    private ImageReader? _images;
    private EndpointShape _shape = EndpointShape.Of("");
    private RequestTemplate? _template;
    private bool _hasWarnedOfEmptyId;
    private bool _isFromKeys;
    private bool _isPromptNull;
    private long _emptyPrompts;

    /// <summary>The object to build a request from. A string is the prompt. For other objects, parameters select the parts.</summary>
    [Parameter(ValueFromPipeline = true)]
    [AllowNull]
    [AllowEmptyString]
    public object? InputObject { get; set; }

    /// <summary>The prompt: text, or a script block that returns it for each input object (<c>$_</c>). So are the next three parameters.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [AllowNull]
    [AllowEmptyString]
    public object? Prompt { get; set; }

    /// <summary>The system message (<c>instructions</c> for /v1/responses). If empty, there is none.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [AllowNull]
    [AllowEmptyString]
    public object? SystemPrompt { get; set; }

    /// <summary>The ID of the request. If empty, it is <c>request-</c> and the position of the input object, counted from 1.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("custom_id")]
    [AllowNull]
    [AllowEmptyString]
    public object? CustomId { get; set; }

    /// <summary>Images for the prompt: addresses (https, data), or local files, whose content becomes part of the request.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [AllowNull]
    [AllowEmptyCollection]
    [AllowEmptyString]
    public object? Image { get; set; }

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
    [EndpointTransformation]
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

    /// <summary>Builds no request for an input object with an empty prompt.</summary>
    [Parameter]
    public SwitchParameter SkipEmpty { get; set; }

    /// <summary>The number of the current input object, counted from 1.</summary>
    private protected int InputNumber { get; private set; }

    /// <summary>Whether <see cref="Build()"/> has left out the current input object for -SkipEmpty.</summary>
    private protected bool IsSkipped { get; private set; }

    /// <summary>Gets the profile of the service that the requests are meant for; null if none was chosen. Read in <see cref="BeginProcessing"/>.</summary>
    private protected abstract ServiceProfile? TargetProfile { get; }

    protected override void BeginProcessing()
    {
        _shape = EndpointShape.Of(Endpoint);
        RefuseParametersNotForEndpoint();
        SessionMemory.NoteModels([Model]);
        _mistakes = new PromptMistakeDetector(WriteWarning);
        _errors = new RowErrors(WriteError, ThrowTerminatingError);
        _duplicates = new RowErrors(WriteError, ThrowTerminatingError);
        // Only a value from the command line is in BoundParameters here: pipeline values are bound later, for each object.
        _isPromptNull = MyInvocation.BoundParameters.TryGetValue(nameof(Prompt), out object? given) && given is null;
        _images = new ImageReader(Paths, _errors.Add, Describe);
        _template = new RequestTemplate(
            _shape, string.IsNullOrEmpty(Model) ? null : Model, All(Message), Fields(), (RawJson?)Body);
    }

    /// <summary>Returns the request for the current input object; null after an error, and for an empty prompt with -SkipEmpty.</summary>
    private protected BatchRequest? Build()
    {
        InputNumber++;
        IsSkipped = false;
        object? input = InputObject;
        if (input is PSObject { BaseObject: string or ValueType or IDictionary } wrapped)
        {
            input = wrapped.BaseObject; // A command may keep a million of them: do not keep the wrappers as well.
        }

        if (InputNumber == 1)
        {
            _mistakes!.TakeTexts(input, (nameof(Prompt), Prompt as string), (nameof(CustomId), CustomId as string), (nameof(SystemPrompt), SystemPrompt as string));
        }

        BindKeys(input as IDictionary);
        try
        {
            BatchRequest? request = Build(input);
            if (request is not null || IsSkipped)
            {
                _errors!.Release();
            }

            return request;
        }
        catch (RowScriptException exception)
        {
            _errors!.Add(ErrorRecords.Caused(exception.InnerException!, "InvalidValue.Script", input, Describe(input), exception.Parameter, exception.Message + Advice(exception.Parameter, input)));
        }
        catch (UnwritableValueException exception)
        {
            _errors!.Add(ErrorRecords.Caused(exception, "InvalidValue.Request", input, Describe(input), exception.Message));
        }

        return null;
    }

    /// <summary>Notes that the request was used. A second one shows that not all have the same custom_id.</summary>
    private protected void Accept()
    {
        if (++_accepted == 2)
        {
            _duplicates!.Release();
        }
    }

    /// <summary>Reports a request that was built or given, but cannot be used.</summary>
    private protected void Refuse(ErrorRecord error) => _duplicates!.Add(error);

    /// <summary>Writes the errors that are held back, and the warning about empty prompts. Called after the last input object.</summary>
    private protected void EndInput()
    {
        _errors?.Release();
        _duplicates?.Release();
        if (_emptyPrompts > 0 && !SkipEmpty)
        {
            WriteWarning(Messages.Text("Warning.EmptyPrompts", _emptyPrompts));
        }
        else if (_emptyPrompts > 0)
        {
            WriteWarning(Messages.Text("Warning.SkippedEmpty", _emptyPrompts));
        }
    }

    private BatchRequest? Build(object? input)
    {
        string? prompt = Text(nameof(Prompt), Prompt) ?? input as string;
        string? systemPrompt = Text(nameof(SystemPrompt), SystemPrompt);
        string[] images = Texts(nameof(Image), Image);
        if (Check(input, prompt, systemPrompt, images) is { } problem)
        {
            if (_isPromptNull && problem.FullyQualifiedErrorId == "PromptMissing")
            {
                ThrowTerminatingError(ErrorRecords.Of("PromptMissing.Null", input));
            }

            _errors!.Add(problem);
            return null;
        }

        if (string.IsNullOrWhiteSpace(prompt) && prompt is not null && images.Length == 0)
        {
            _emptyPrompts++;
            if (SkipEmpty)
            {
                IsSkipped = true;
                return null;
            }
        }

        _mistakes!.Take(input, images.Length > 0 ? null : prompt, systemPrompt);
        string? given = Text(nameof(CustomId), CustomId);
        string id = string.IsNullOrEmpty(given) ? string.Create(CultureInfo.InvariantCulture, $"request-{InputNumber}") : given;
        JsonText.Check(id);
        if (!_hasWarnedOfEmptyId && string.IsNullOrEmpty(given) && MyInvocation.BoundParameters.ContainsKey(nameof(CustomId)))
        {
            _hasWarnedOfEmptyId = true;
            WriteWarning(Messages.Text("Warning.EmptyCustomId", Describe(input), id));
        }

        return _images!.Read(images, input) is { } read
            ? new BatchRequest
            {
                CustomId = id,
                Url = Endpoint,
                BodyUtf8 = _template!.Write(prompt, string.IsNullOrEmpty(systemPrompt) ? null : systemPrompt, read),
                InputObject = input,
            }
            : null;
    }

    private string? Text(string parameter, object? value) => value is string or null ? (string?)value : RowValue.Text(parameter, value, InputObject);

    private string[] Texts(string parameter, object? value) => value is null ? [] : RowValue.Texts(parameter, value, InputObject);

    /// <summary>Returns a sentence about a property that does not exist, and the one that was probably meant; empty if there is none.</summary>
    private string Advice(string parameter, object? input)
    {
        string advice = MyInvocation.BoundParameters.GetValueOrDefault(parameter) is not { } given || RowValue.ScriptOf(given) is not { } script
            ? ClosestName.Of(parameter, InputFields.NamesOf(input)) is { } column ? Messages.Text("Input.UseProperty", parameter, column) : ""
            : MissingProperty.Of(script, input) is not { } missing ? ""
            : missing.Closest is { } closest ? Messages.Text("Input.DidYouMean", missing.Name, closest)
            : Messages.Text("Input.NoProperty", missing.Name);
        return advice.Length > 0 ? " " + advice : "";
    }

    private ErrorRecord? Check(object? input, string? prompt, string? systemPrompt, string[] images)
    {
        if (!_template!.HasModel && !_shape.ModelIsOptional)
        {
            return ErrorRecords.Of("ModelMissing", input, Describe(input));
        }

        if (prompt is null && Message is null && !_template.HasInput)
        {
            return ErrorRecords.Of("PromptMissing", input, Describe(input), (InputFields.Listed(input) is { Length: > 0 } names ? Messages.Text("PromptMissing.Properties", names) : "") + Advice(nameof(Prompt), input));
        }

        return _shape.TakesMessages ? null
            : images.Length > 0 ? ErrorRecords.Of("ParameterNotForEndpoint.Image", input, Describe(input), Endpoint)
            : !string.IsNullOrEmpty(systemPrompt) ? ErrorRecords.Of("ParameterNotForEndpoint.SystemPrompt", input, Describe(input), Endpoint)
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
        Prompt = given.ContainsKey(nameof(Prompt)) ? Prompt : InputFields.ValueOf(row, nameof(Prompt));
        SystemPrompt = given.ContainsKey(nameof(SystemPrompt)) ? SystemPrompt : InputFields.ValueOf(row, nameof(SystemPrompt));
        CustomId = given.ContainsKey(nameof(CustomId)) ? CustomId : InputFields.ValueOf(row, nameof(CustomId)) ?? InputFields.ValueOf(row, "custom_id");
        Image = given.ContainsKey(nameof(Image)) ? Image : InputFields.ValueOf(row, nameof(Image));
    }

    private static RawJson[] All(object[]? values) =>
        values is null ? [] : [.. values.Select(value => (RawJson)(value is PSObject wrapped ? wrapped.BaseObject : value))];
}
