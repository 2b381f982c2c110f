using InferenceBatch.Wire;

namespace InferenceBatch.Server.Api;

/// <summary>An error response in OpenAI's format.</summary>
internal sealed class ApiException(int status, string message, string? param = null, string? code = null) : Exception(message)
{
    public int Status { get; } = status;

    public string? Param { get; } = param;

    public string? Code { get; } = code;

    /// <summary>Creates a 400 with the code <c>invalid_value</c>.</summary>
    public static ApiException InvalidValue(string message, string param) => new(400, message, param, "invalid_value");

    /// <summary>Creates a 400 with the code <c>invalid_type</c>.</summary>
    public static ApiException InvalidType(string message, string param) => new(400, message, param, "invalid_type");

    /// <summary>Creates a 400 with the code <c>missing_required_parameter</c>.</summary>
    public static ApiException Missing(string param) => new(400, $"Missing required parameter: '{param}'.", param, "missing_required_parameter");

    /// <summary>Creates a 404: the ID does not exist or belongs to another key.</summary>
    public static ApiException NotFound(string kind, string id) => new(404, $"No {kind} found with id '{Shorten(id)}'.", "id", "not_found");

    /// <summary>Returns a caller's ID, shortened for a message.</summary>
    public static string Shorten(string id) => TextCut.Start(id, 100);
}
