using System.Text.RegularExpressions;
using InferenceBatch.Lines;

namespace InferenceBatch.Service;

/// <summary>What is particular about one provider of the Batch API. Facts: the providers' documents.</summary>
public sealed partial record ServiceProfile
{
    private const long MB = 1024 * 1024;

    public required string Name { get; init; }

    /// <summary>The provider's base address, version included; null where each customer has another.</summary>
    public Uri? BaseUri { get; init; }

    /// <summary>A second address to use once the first turns out not to serve the Batch API.</summary>
    public Uri? AlternateUri { get; init; }

    /// <summary>Further hosts the provider answers at, told by an address; one that begins with a dot stands for all under it.</summary>
    public IReadOnlyList<string> OtherHosts { get; init; } = [];

    /// <summary>The environment variable the provider's own documents keep the key in; looked at before <c>INFERENCE_API_KEY</c>.</summary>
    public string KeyVariable { get; init; } = ConnectionResolver.KeyVariable;

    /// <summary>A header that takes the bare key; null for <c>Authorization: Bearer</c>.</summary>
    public string? KeyHeader { get; init; }

    public string UploadPath { get; init; } = "files";

    public string Purpose { get; init; } = "batch";

    /// <summary>Whether an upload also names the file in fields of its own: <c>file_name</c>, and <c>file_type</c> <c>jsonl</c>.</summary>
    public bool NamesFileInFields { get; init; }

    /// <summary>Requests in one file, at most.</summary>
    public int MaxRequests { get; init; } = 50_000;

    /// <summary>Bytes in one file, at most.</summary>
    public long MaxBytes { get; init; } = 200 * MB;

    /// <summary>Bytes in one line, at most.</summary>
    public int MaxLineBytes { get; init; } = new ValidationRules().MaxLineBytes;

    /// <summary>Characters in a <c>custom_id</c> or a model's name, at most.</summary>
    public int MaxNameLength { get; init; } = new ValidationRules().MaxNameLength;

    /// <summary>The time to leave between two uploads.</summary>
    public TimeSpan UploadInterval { get; init; }

    public bool UrlIsOptional { get; init; }

    /// <summary>Whether a line may go without <c>method</c>.</summary>
    public bool MethodIsOptional { get; init; }

    public bool OneModelOnly { get; init; }

    /// <summary>Whether a file that begins with a byte order mark is refused.</summary>
    public bool RefusesByteOrderMark { get; init; }

    /// <summary>The completion windows its documents name, the usual one first; others are the service's to refuse.</summary>
    public IReadOnlyList<string> CompletionWindows { get; init; } = ["24h"];

    /// <summary>Endpoints beside <see cref="ValidationRules.KnownEndpoints"/>.</summary>
    public IReadOnlyList<string> MoreEndpoints { get; init; } = [];

    /// <summary>Whether a file must be waited for until its status is <c>processed</c>.</summary>
    public bool FilesNeedProcessing { get; init; }

    /// <summary>Whether the content of a file is asked for from a line on (<c>offset</c>), not from a byte on.</summary>
    public bool ContentOffsetIsInLines { get; init; }

    /// <summary>A 500 on a batch is how this provider answers for an id it does not know.</summary>
    public bool UnknownBatchIs500 { get; init; }

    /// <summary>
    /// Whether /v1/chat/completions refuses <c>max_tokens</c> for reasoning models, and expects <c>max_completion_tokens</c>. Sources: OpenAI's
    /// API reference ("not compatible with o-series models"), Azure's "Azure OpenAI reasoning models".
    /// </summary>
    public bool ReasoningModelsRefuseMaxTokens { get; init; }

    /// <summary>Any service that speaks OpenAI's Batch API; nothing else is known of it.</summary>
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

    /// <summary>All profiles with a name of their own, the default first.</summary>
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

    /// <summary>What the provider asks of a batch file.</summary>
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

    /// <summary>The profile of that name, in any case; null when there is none.</summary>
    public static ServiceProfile? Find(string name) =>
        All.Append(Generic).FirstOrDefault(profile => profile.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>The profile whose host an address names, else <see cref="Generic"/>.</summary>
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
