namespace InferenceBatch.Lines;

/// <summary>
/// The codes of <see cref="LineIssue"/>. Errors have the code of the Batch API if it has one for the case (OpenAI's
/// documentation and recorded responses). <c>line_too_long</c>, <c>truncated_json</c>, <c>multi_line_json</c> and the last five are specific to InferenceBatch.
/// </summary>
public static class IssueCodes
{
    public const string InvalidJson = "invalid_json_line";
    public const string InvalidEncoding = "invalid_encoding";
    public const string MissingParameter = "missing_required_parameter";
    public const string InvalidRequest = "invalid_request";
    public const string DuplicateCustomId = "duplicate_custom_id";
    public const string InvalidUrl = "invalid_url";
    public const string StreamingUnsupported = "streaming_unsupported";
    public const string NameTooLong = "string_above_max_length";
    public const string LineTooLong = "line_too_long";
    public const string TruncatedJson = "truncated_json";
    public const string MultiLineJson = "multi_line_json";
    public const string MismatchedModel = "mismatched_model";
    public const string EmptyFile = "empty_file";
    public const string TooManyRequests = "request_limit_exceeded";
    public const string FileTooLarge = "file_too_large";
    public const string MoreIssues = "more_issues";
    public const string MissingUrl = "missing_url";
    public const string ByteOrderMark = "byte_order_mark";
    public const string BlankLine = "blank_line";
    public const string CarriageReturn = "carriage_return";
}
