using System.Collections.Frozen;
using System.Reflection;

namespace InferenceBatch.Server.Page;

/// <summary>
/// The routes of the page, <c>/</c>, and its files, <c>/page/…</c>. They are embedded in the assembly and served without a
/// key, because they contain no data. The page gets its data from the API with the key that the user types in.
/// </summary>
internal static class PageRoutes
{
    private const string Folder = "/page/";

    /// <summary>Allows only the files of the page and the API of the same origin, and prevents text from becoming markup or code.</summary>
    private const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        + "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

    private static readonly FrozenDictionary<string, byte[]> s_files = ReadFiles();

    /// <summary>Whether a path is one of the page's own files.</summary>
    public static bool Has(PathString path) => s_files.ContainsKey(path.Value!);

    public static void Map(IEndpointRouteBuilder routes)
    {
        foreach ((string path, byte[] content) in s_files)
        {
            routes.MapMethods(path, [HttpMethods.Get, HttpMethods.Head], context => WriteAsync(context, path, content));
        }
    }

    private static async Task WriteAsync(HttpContext context, string path, byte[] content)
    {
        HttpResponse response = context.Response;
        response.Headers.ContentSecurityPolicy = ContentSecurityPolicy;
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers["Cross-Origin-Opener-Policy"] = "same-origin";
        response.Headers["Cross-Origin-Resource-Policy"] = "same-origin";
        // Files of different versions must not be mixed.
        response.Headers.CacheControl = "no-store";
        response.ContentType = TypeOf(path);
        response.ContentLength = content.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await response.Body.WriteAsync(content, context.RequestAborted);
        }
    }

    private static string TypeOf(string path) => Path.GetExtension(path) switch
    {
        ".css" => "text/css; charset=utf-8",
        ".js" => "text/javascript; charset=utf-8",
        ".svg" => "image/svg+xml",
        _ => "text/html; charset=utf-8",
    };

    private static FrozenDictionary<string, byte[]> ReadFiles()
    {
        Assembly assembly = typeof(PageRoutes).Assembly;
        return assembly.GetManifestResourceNames().Where(name => name.StartsWith(Folder, StringComparison.Ordinal)).ToFrozenDictionary(
            name => name == Folder + "index.html" ? "/" : name,
            name =>
            {
                using Stream stream = assembly.GetManifestResourceStream(name)!;
                byte[] content = new byte[stream.Length];
                stream.ReadExactly(content);
                return content;
            });
    }
}
