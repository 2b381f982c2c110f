using InferenceBatch.Wire;

namespace InferenceBatch.Server.Api;

/// <summary>An answer that is an error, in OpenAI's shape.</summary>
internal sealed class ApiException(int status, string message, string? param = null, string? code = null) : Exception(message)
{
    public int Status { get; } = status;

    public string? Param { get; } = param;

    public string? Code { get; } = code;

    /// <summary>400 <c>invalid_value</c>.</summary>
    public static ApiException InvalidValue(string message, string param) => new(400, message, param, "invalid_value");

    /// <summary>400 <c>invalid_type</c>.</summary>
    public static ApiException InvalidType(string message, string param) => new(400, message, param, "invalid_type");

    /// <summary>400 <c>missing_required_parameter</c>.</summary>
    public static ApiException Missing(string param) => new(400, $"Missing required parameter: '{param}'.", param, "missing_required_parameter");

    /// <summary>404: there is none, or it is somebody else's.</summary>
    public static ApiException NotFound(string kind, string id) => new(404, $"No {kind} found with id '{Shown(id)}'.", "id", "not_found");

    /// <summary>As much of somebody's id as an answer repeats.</summary>
    public static string Shown(string id) => TextCut.Start(id, 100);
}
