using System.Text;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Results;

/// <summary>Counts streamed results without storing them. A result that several rows share is billed once.</summary>
/// <param name="prices">The prices of tokens.</param>
public sealed class ResultMeasure(PriceTable prices)
{
    private const int MaxListed = 100;
    private const string Other = "other";

    private readonly long[] _byStatus = new long[Enum.GetValues<ResultStatus>().Length];
    private readonly Dictionary<(string Code, int? Status), (long Count, string Message, int? StatusCode)> _failures = [];
    private readonly List<string> _models = [];
    private readonly List<string> _unpriced = [];
    private string? _model;
    private ModelPrice _price = prices.PriceOf(null);
    private long? _inputTokens;
    private long? _outputTokens;
    private long? _totalTokens;
    private long _valueErrors;
    private long _withoutUsage;
    private decimal _cost;
    private bool _isUnpriced;

    /// <summary>Counts one result.</summary>
    public void Add(BatchResult result)
    {
        _byStatus[(int)result.Status]++;
        _valueErrors += result.ValueError is null ? 0 : 1;
        if (result.Status == ResultStatus.Failed)
        {
            AddFailure(result.Error ?? new ServiceError("error", ""), result.StatusCode);
        }

        string? model = result.Model ?? RequestedModel(result);
        if (model is not null && model != _model)
        {
            List(_models, model);
        }

        if (!result.IsCopy)
        {
            AddTokens(result, model);
        }
    }

    /// <summary>Returns the counts so far.</summary>
    public BatchResultMeasure Sum() => new()
    {
        Count = _byStatus.Sum(),
        Succeeded = _byStatus[(int)ResultStatus.Succeeded],
        Failed = _byStatus[(int)ResultStatus.Failed],
        Expired = _byStatus[(int)ResultStatus.Expired],
        Cancelled = _byStatus[(int)ResultStatus.Cancelled],
        Missing = _byStatus[(int)ResultStatus.Missing],
        ValueErrors = _valueErrors,
        Failures = [.. _failures.Select(failure => new FailureCount(failure.Key.Code, failure.Value.Count, failure.Value.Message, failure.Value.StatusCode))
            .OrderByDescending(failure => failure.Count).ThenBy(failure => failure.Code, StringComparer.Ordinal)],
        Models = [.. _models],
        InputTokens = _inputTokens,
        OutputTokens = _outputTokens,
        TotalTokens = _totalTokens,
        WithoutUsage = _withoutUsage,
        Cost = _isUnpriced || _totalTokens is null ? null : _cost,
        UnpricedModels = [.. _unpriced],
    };

    private void AddFailure(ServiceError error, int? statusCode)
    {
        // A code without a cause says less than the status: count each status.
        (string Code, int? Status) key = (error.Code, error.HasCause ? null : statusCode);
        key = _failures.Count < MaxListed || _failures.ContainsKey(key) ? key : (Other, null);
        (long count, string message, int? status) = _failures.GetValueOrDefault(key, (0, error.Message, key.Code == Other ? null : statusCode));
        _failures[key] = (count + 1, message, status);
    }

    private void AddTokens(BatchResult result, string? model)
    {
        if (result is { PromptTokens: null, CompletionTokens: null, TotalTokens: null })
        {
            _withoutUsage += result.Status == ResultStatus.Succeeded ? 1 : 0;
            return;
        }

        _inputTokens = result.PromptTokens is { } input ? (_inputTokens ?? 0) + input : _inputTokens;
        _outputTokens = result.CompletionTokens is { } output ? (_outputTokens ?? 0) + output : _outputTokens;
        _totalTokens = (_totalTokens ?? 0) + (result.TotalTokens ?? (result.PromptTokens ?? 0) + (result.CompletionTokens ?? 0));
        if (model != _model)
        {
            _model = model;
            _price = PriceOf(result, model);
        }

        decimal? cost = result is { PromptTokens: null, CompletionTokens: null } ? null : _price.CostOf(result.PromptTokens ?? 0, result.CompletionTokens ?? 0);
        _cost += cost ?? 0;
        _isUnpriced |= cost is null;
        if (cost is null && model is not null)
        {
            List(_unpriced, model);
        }
    }

    /// <summary>Returns the price of a result. Services answer with the dated name of a model, but the table may have the requested name.</summary>
    private ModelPrice PriceOf(BatchResult result, string? model)
    {
        ModelPrice price = prices.PriceOf(model);
        if (price is { Input: not null, Output: not null } || RequestedModel(result) is not { } requested)
        {
            return price;
        }

        ModelPrice other = prices.PriceOf(requested);
        return new ModelPrice(price.Input ?? other.Input, price.Output ?? other.Output);
    }

    private static string? RequestedModel(BatchResult result)
    {
        if (result.Request is not { } request)
        {
            return null;
        }

        ReadOnlySpan<byte> model = RequestLine.ModelOf(request.BodyUtf8.Span);
        return model.IsEmpty ? null : Encoding.UTF8.GetString(model);
    }

    private static void List(List<string> names, string name)
    {
        if (names.Count < MaxListed && !names.Contains(name))
        {
            names.Add(name);
        }
    }
}
