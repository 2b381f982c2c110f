using System.Text.RegularExpressions;
using InferenceBatch.Lines;

namespace InferenceBatch.Service;

/// <summary>The differences of a Batch API provider from OpenAI. The facts are from the documentation of the providers.</summary>
public sealed partial record ServiceProfile
{
    private const long MB = 1024 * 1024;

    public required string Name { get; init; }

    /// <summary>The base address of the provider with the version; null if each customer has a different one.</summary>
    public Uri? BaseUri { get; init; }

    /// <summary>A second address, used if the first one does not serve the Batch API.</summary>
    public Uri? AlternateUri { get; init; }

    /// <summary>Other hosts of the provider, to recognize it by an address. A name that starts with a dot includes all its subdomains.</summary>
    public IReadOnlyList<string> OtherHosts { get; init; } = [];

    /// <summary>The environment variable for the key in the provider's documentation. It takes precedence over <c>INFERENCE_API_KEY</c>.</summary>
    public string KeyVariable { get; init; } = ConnectionResolver.KeyVariable;

    /// <summary>The header for the key; null for <c>Authorization: Bearer</c>.</summary>
    public string? KeyHeader { get; init; }

    public string UploadPath { get; init; } = "files";

    public string Purpose { get; init; } = "batch";

    /// <summary>Whether an upload also has the fields <c>file_name</c> and <c>file_type</c> (<c>jsonl</c>).</summary>
    public bool NamesFileInFields { get; init; }

    /// <summary>The maximum number of requests per file.</summary>
    public int MaxRequests { get; init; } = 50_000;

    /// <summary>The maximum number of bytes per file.</summary>
    public long MaxBytes { get; init; } = 200 * MB;

    /// <summary>The maximum number of bytes per line.</summary>
    public int MaxLineBytes { get; init; } = new ValidationRules().MaxLineBytes;

    /// <summary>The maximum number of characters in a <c>custom_id</c> or a model name.</summary>
    public int MaxNameLength { get; init; } = new ValidationRules().MaxNameLength;

    /// <summary>The minimum time between two uploads.</summary>
    public TimeSpan UploadInterval { get; init; }

    public bool UrlIsOptional { get; init; }

    /// <summary>Whether a line may omit <c>method</c>.</summary>
    public bool MethodIsOptional { get; init; }

    public bool OneModelOnly { get; init; }

    /// <summary>Whether a file with a byte order mark is refused.</summary>
    public bool RefusesByteOrderMark { get; init; }

    /// <summary>The completion windows in the provider's documentation, the usual one first. Other values are sent too, and the service may refuse them.</summary>
    public IReadOnlyList<string> CompletionWindows { get; init; } = ["24h"];

    /// <summary>Endpoints in addition to <see cref="ValidationRules.KnownEndpoints"/>.</summary>
    public IReadOnlyList<string> MoreEndpoints { get; init; } = [];

    /// <summary>Whether a batch can be created only when the status of its file is <c>processed</c>.</summary>
    public bool FilesNeedProcessing { get; init; }

    /// <summary>Whether a download resumes at a line (<c>offset</c>) instead of a byte.</summary>
    public bool ContentOffsetIsInLines { get; init; }

    /// <summary>Whether the provider responds with 500 to an unknown batch ID.</summary>
    public bool UnknownBatchIs500 { get; init; }

    /// <summary>
    /// Whether /v1/chat/completions refuses <c>max_tokens</c> for reasoning models, and expects <c>max_completion_tokens</c>. Sources: OpenAI's
    /// API reference ("not compatible with o-series models"), Azure's "Azure OpenAI reasoning models".
    /// </summary>
    public bool ReasoningModelsRefuseMaxTokens { get; init; }

    /// <summary>Any other service with OpenAI's Batch API.</summary>
    public static ServiceProfile Generic { get; } = new() { Name = "Generic" };

    /// <summary>The default provider.</summary>
    public static ServiceProfile InferenceNet { get; } = new()
    {
        Name = "InferenceNet",
        BaseUri = new Uri("https://api.inference.net/v1"),
        AlternateUri = new Uri("https://batch.inference.net/v1"),
        UploadInterval = TimeSpan.FromMinutes(1),
        UrlIsOptional = true,
        UnknownBatchIs500 = true,
    };

    /// <summary>The service that Start-BatchServer runs.</summary>
    public static ServiceProfile Local { get; } = new()
    {
        Name = "Local",
        BaseUri = new Uri("http://127.0.0.1:8421/v1"),
        MaxLineBytes = ValidationRules.LocalService.MaxLineBytes,
        MaxNameLength = ValidationRules.LocalService.MaxNameLength,
    };

    /// <summary>All profiles except <see cref="Generic"/>, the default first.</summary>
    public static IReadOnlyList<ServiceProfile> All { get; } =
    [
        InferenceNet,
        new() { Name = "OpenAI", BaseUri = new Uri("https://api.openai.com/v1"), KeyVariable = "OPENAI_API_KEY", OneModelOnly = true, ReasoningModelsRefuseMaxTokens = true },
        new()
        {
            Name = "AzureOpenAI", OtherHosts = [".openai.azure.com"], KeyVariable = "AZURE_OPENAI_API_KEY", KeyHeader = "api-key",
            MaxRequests = 100_000, OneModelOnly = true, RefusesByteOrderMark = true, FilesNeedProcessing = true, ReasoningModelsRefuseMaxTokens = true,
        },
        new()
        {
            Name = "Groq", BaseUri = new Uri("https://api.groq.com/openai/v1"), KeyVariable = "GROQ_API_KEY",
            MaxBytes = 100 * MB, CompletionWindows = ["24h", "7d"],
        },
        new()
        {
            Name = "Together", BaseUri = new Uri("https://api.together.ai/v1"), OtherHosts = ["api.together.xyz"], KeyVariable = "TOGETHER_API_KEY",
            UploadPath = "files/upload", Purpose = "batch-api", NamesFileInFields = true, UrlIsOptional = true, MethodIsOptional = true,
        },
        new() { Name = "DeepInfra", BaseUri = new Uri("https://api.deepinfra.com/v1/openai"), KeyVariable = "DEEPINFRA_TOKEN", OneModelOnly = true },
        new()
        {
            Name = "Doubleword", BaseUri = new Uri("https://api.doubleword.ai/v1"), KeyVariable = "DOUBLEWORD_API_KEY",
            ContentOffsetIsInLines = true, CompletionWindows = ["24h", "1h"],
        },
        new()
        {
            Name = "Nebius", BaseUri = new Uri("https://api.tokenfactory.nebius.com/v1"), OtherHosts = ["api.studio.nebius.com"], KeyVariable = "NEBIUS_API_KEY",
            MaxRequests = 5_000_000, MaxBytes = 10 * 1024 * MB, OneModelOnly = true,
        },
        new()
        {
            Name = "Novita", BaseUri = new Uri("https://api.novita.ai/openai/v1"), KeyVariable = "NOVITA_API_KEY",
            UrlIsOptional = true, MethodIsOptional = true, OneModelOnly = true, CompletionWindows = ["48h"],
        },
        new()
        {
            Name = "ModelStudio", BaseUri = new Uri("https://dashscope.aliyuncs.com/compatible-mode/v1"), KeyVariable = "DASHSCOPE_API_KEY",
            OtherHosts = ["dashscope-intl.aliyuncs.com", ".maas.aliyuncs.com"],
            MaxBytes = 500 * MB, OneModelOnly = true, MoreEndpoints = ["/v1/chat/ds-test"],
        },
        Local,
    ];

    /// <summary>Returns the provider's rules for a batch file.</summary>
    public ValidationRules RulesFor(string? endpoint = null) => new()
    {
        Endpoint = endpoint,
        Endpoints = [.. ValidationRules.KnownEndpoints, .. MoreEndpoints],
        MaxRequests = MaxRequests,
        MaxBytes = MaxBytes,
        MaxLineBytes = MaxLineBytes,
        MaxNameLength = MaxNameLength,
        UrlIsOptional = UrlIsOptional,
        MethodIsOptional = MethodIsOptional,
        OneModelOnly = OneModelOnly,
        RefusesByteOrderMark = RefusesByteOrderMark,
    };

    /// <summary>Returns the profile with a name, case-insensitive; null if there is none.</summary>
    public static ServiceProfile? Find(string name) =>
        All.Append(Generic).FirstOrDefault(profile => profile.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>Returns the profile with the host of an address; otherwise <see cref="Generic"/>.</summary>
    public static ServiceProfile ForAddress(Uri address) =>
        All.FirstOrDefault(profile => profile != Local && profile.IsAt(address.Host)) ?? Generic;

    /// <summary>
    /// Whether a name looks like a reasoning model of OpenAI: the o-series (o1, o4-mini, …), or gpt-5 and later. The name can be that of a
    /// fine-tuned model (<c>ft:o4-mini-2025-04-16:org::id</c>), or of a deployment at Azure, which can contain the model's name anywhere and
    /// without its hyphens and dots: there <c>gpt-35</c> is GPT-3.5. A name with a slash is never OpenAI's.
    /// </summary>
    public static bool IsReasoningModel(string model) =>
        !model.Contains('/', StringComparison.Ordinal) && ReasoningName().IsMatch(model.StartsWith("ft:", StringComparison.Ordinal) ? model.Split(':')[1] : model);

    public override string ToString() => Name;

    private bool IsAt(string host) =>
        host.Equals(BaseUri?.Host, StringComparison.OrdinalIgnoreCase) || host.Equals(AlternateUri?.Host, StringComparison.OrdinalIgnoreCase)
        || OtherHosts.Any(other => other[0] == '.' ? host.EndsWith(other, StringComparison.OrdinalIgnoreCase) : host.Equals(other, StringComparison.OrdinalIgnoreCase));

    [GeneratedRegex("(?<![a-z0-9])o[1-9](-?(mini|pro))?(?![a-z0-9])|gpt[-_]?[5-9]", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex ReasoningName();
}
