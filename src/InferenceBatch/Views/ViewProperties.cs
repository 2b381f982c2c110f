using System.Management.Automation;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Webhooks;
using InferenceBatch.Wire;

namespace InferenceBatch.Views;

/// <summary>
/// The hidden properties that InferenceBatch.Types.ps1xml adds to the module's objects, and InferenceBatch.Format.ps1xml shows. They are
/// compiled, so that they also work in Constrained Language Mode, where scripts cannot call methods.
/// </summary>
public static class ViewProperties
{
    private const int LongestLine = 200;
    private const int LongestBody = 2000;

    public static object BatchStatusText(PSObject batch) => Of<Batch>(batch) switch
    {
        { Status: BatchStatus.Unknown } one => $"{ViewText.Status(one)}?",
        { Status: BatchStatus.Completed } => Palette.Paint(nameof(BatchStatus.Completed), "Green"),
        { Status: BatchStatus.Failed } => Palette.Paint(nameof(BatchStatus.Failed), "Red"),
        { Status: BatchStatus.Expired or BatchStatus.Cancelling or BatchStatus.Cancelled } one => Palette.Paint(one.Status.ToString(), "Yellow"),
        var one => Palette.Paint(one.Status.ToString(), "Cyan"),
    };

    public static object BatchProgress(PSObject batch) => ViewText.Bar(Of<Batch>(batch).RequestCounts);

    public static object BatchCounts(PSObject batch) => ViewText.Counts(Of<Batch>(batch).RequestCounts);

    public static object BatchAge(PSObject batch) => ViewText.Age(Of<Batch>(batch).CreatedAt);

    public static object BatchErrorsText(PSObject batch) => Of<Batch>(batch).Errors.Select(error => PlainText.Of(error.ToString())).ToArray();

    public static object BatchMetadataText(PSObject batch) =>
        string.Join(", ", Of<Batch>(batch).Metadata.Select(pair => PlainText.OneLine($"{pair.Key}={pair.Value}", LongestLine)));

    public static object BatchAtAGlance(PSObject batch) => $"{Of<Batch>(batch).RequestCounts.Percent,3}% {Of<Batch>(batch).Id}";

    public static object FileNameText(PSObject file) => PlainText.OneLine(Of<BatchFile>(file).FileName ?? Path.GetFileName(Of<BatchFile>(file).Path), LongestLine);

    public static object FileSize(PSObject file) => ViewText.Size(Of<BatchFile>(file).Bytes);

    public static object FileAge(PSObject file) => ViewText.Age(Of<BatchFile>(file).CreatedAt);

    public static object RequestIdText(PSObject request) => PlainText.OneLine(Of<BatchRequest>(request).CustomId, LongestLine);

    public static object RequestBodyStart(PSObject request) => ViewText.Body(Of<BatchRequest>(request), LongestLine);

    public static object RequestBodyText(PSObject request) => ViewText.Body(Of<BatchRequest>(request), LongestBody);

    public static object RequestInput(PSObject request) => ViewText.Input(Of<BatchRequest>(request).InputObject, LongestBody);

    public static object ResultInput(PSObject result) => ViewText.Input(Of<BatchResult>(result).InputObject, LongestBody);

    public static object ResultIdText(PSObject result) => PlainText.OneLine(Of<BatchResult>(result).CustomId, LongestLine);

    public static object ResultStatusText(PSObject result) => Painted(Of<BatchResult>(result), Of<BatchResult>(result).Status.ToString());

    public static object ResultAnswer(PSObject result) => ViewText.Answer(Of<BatchResult>(result), LongestLine);

    public static object? ResultFullText(PSObject result) => PlainText.Of(Of<BatchResult>(result).Text);

    public static object? ResultErrorText(PSObject result) => PlainText.Of(Of<BatchResult>(result).Error?.ToString(Of<BatchResult>(result).StatusCode));

    public static object ResultTokens(PSObject result) => Of<BatchResult>(result) switch
    {
        { PromptTokens: { } prompt, CompletionTokens: { } answer } one => $"{ViewText.Number(prompt)} in, {ViewText.Number(answer)} out, {ViewText.Number(one.TotalTokens ?? prompt + answer)} in all",
        { TotalTokens: { } total } => ViewText.Number(total),
        _ => "",
    };

    public static object ResultAtAGlance(PSObject result) => Of<BatchResult>(result) switch
    {
        { Status: ResultStatus.Succeeded } one => Painted(one, PlainText.OneLine(one.CustomId, LongestLine)),
        var one => Painted(one, $"{PlainText.OneLine(one.CustomId, LongestLine)} ({one.Status})"),
    };

    public static object IssueCustomIdText(PSObject issue) => PlainText.OneLine(Of<LineIssue>(issue).CustomId, LongestLine);

    public static object IssueSeverityText(PSObject issue) => Of<LineIssue>(issue).Severity switch
    {
        IssueSeverity.Error => Palette.Paint(nameof(IssueSeverity.Error), "Red"),
        IssueSeverity.Warning => Palette.Paint(nameof(IssueSeverity.Warning), "Yellow"),
        var severity => severity.ToString(),
    };

    public static object IssueMessageText(PSObject issue) => PlainText.Of(Of<LineIssue>(issue).Message)!;

    public static object ErrorCodeText(PSObject error) => PlainText.OneLine(Of<ServiceError>(error).Code, LongestLine);

    public static object ErrorMessageText(PSObject error) => PlainText.Of(Of<ServiceError>(error).Message)!;

    public static object ReportVerdict(PSObject item)
    {
        BatchFileReport report = Of<BatchFileReport>(item);
        string verdict = report.IsValid ? Palette.Paint("valid", "Green") : $"{Palette.Paint("not valid", "Red")}, {ViewText.Plural(report.ErrorCount, "error")}";
        return string.Join(Environment.NewLine, ViewText.Report(report).Prepend($"{verdict}: {PlainText.Of(report.Path)}"));
    }

    public static object ReportSize(PSObject report) => ViewText.Size(Of<BatchFileReport>(report).Bytes);

    public static object ReportModels(PSObject report) => PlainText.OneLine(string.Join(", ", Of<BatchFileReport>(report).Models), LongestLine);

    public static object ReportIssues(PSObject report) => Of<BatchFileReport>(report).Issues.Select(issue => PlainText.OneLine(issue.ToString(), LongestLine)).ToArray();

    public static object MeasuredSize(PSObject measure) => ViewText.Size(Of<BatchFileMeasure>(measure).Bytes);

    public static object MeasuredModels(PSObject measure) => PlainText.OneLine(string.Join(", ", Of<BatchFileMeasure>(measure).Models), LongestLine);

    public static object MeasuredInput(PSObject measure) => ViewText.Range(Of<BatchFileMeasure>(measure).InputTokensLow, Of<BatchFileMeasure>(measure).InputTokensHigh, "N0");

    public static object MeasuredOutput(PSObject measure) => ViewText.Range(Of<BatchFileMeasure>(measure).OutputTokensLow, Of<BatchFileMeasure>(measure).OutputTokensHigh, "N0");

    public static object MeasuredCost(PSObject measure) => ViewText.Range(Of<BatchFileMeasure>(measure).CostLow, Of<BatchFileMeasure>(measure).CostHigh, "#,0.00##");

    public static object MeasuredUnpriced(PSObject measure) => PlainText.OneLine(string.Join(", ", Of<BatchFileMeasure>(measure).UnpricedModels), LongestLine);

    public static object SumFailures(PSObject sum) => PlainText.OneLine(string.Join(", ", Of<BatchResultMeasure>(sum).Failures.Take(5)), LongestLine);

    public static object SumModels(PSObject sum) => PlainText.OneLine(string.Join(", ", Of<BatchResultMeasure>(sum).Models), LongestLine);

    public static object SumUnpriced(PSObject sum) => PlainText.OneLine(string.Join(", ", Of<BatchResultMeasure>(sum).UnpricedModels), LongestLine);

    public static object EventReceived(PSObject received) => Of<WebhookEvent>(received).ReceivedAt.ToLocalTime().ToString("HH:mm:ss", System.Globalization.CultureInfo.InvariantCulture);

    public static object EventTypeText(PSObject received) => PlainText.OneLine(Of<WebhookEvent>(received).Type, LongestLine);

    public static object EventBatchText(PSObject received) => PlainText.OneLine(Of<WebhookEvent>(received).BatchId, LongestLine);

    private static T Of<T>(PSObject item) => (T)item.BaseObject;

    private static string Painted(BatchResult result, string text) => Palette.Paint(text, result.Status switch
    {
        ResultStatus.Succeeded => result.ValueError is null ? "Green" : "Yellow",
        ResultStatus.Failed => "Red",
        _ => "Yellow",
    });
}
