using System.Buffers;
using System.Buffers.Text;
using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>An image of a request: an address from which the service downloads it, or a local file, sent as a data URL.</summary>
internal sealed class RequestImage
{
    private static readonly Dictionary<string, string> s_typesByExtension = new(StringComparer.OrdinalIgnoreCase)
    {
        [".png"] = "image/png",
        [".jpg"] = "image/jpeg",
        [".jpeg"] = "image/jpeg",
        [".gif"] = "image/gif",
        [".webp"] = "image/webp",
        [".bmp"] = "image/bmp",
        [".tif"] = "image/tiff",
        [".tiff"] = "image/tiff",
        [".heic"] = "image/heic",
        [".avif"] = "image/avif",
        [".svg"] = "image/svg+xml",
    };

    private readonly string _address;
    private readonly byte[]? _content;

    private RequestImage(string address, byte[]? content)
    {
        _address = address;
        _content = content;
    }

    /// <summary>Whether the text is an address, not a path.</summary>
    public static bool IsAddress(string text) =>
        text.StartsWith("https://", StringComparison.OrdinalIgnoreCase)
        || text.StartsWith("http://", StringComparison.OrdinalIgnoreCase)
        || text.StartsWith("data:", StringComparison.OrdinalIgnoreCase);

    public static RequestImage FromAddress(string address) => new(address, null);

    /// <summary>Reads a local image.</summary>
    /// <exception cref="IOException">The file could not be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    /// <exception cref="UnwritableValueException">The file is not an image of a known type.</exception>
    public static RequestImage FromFile(string path)
    {
        byte[] content = File.ReadAllBytes(path);
        string type = TypeOf(content) ?? s_typesByExtension.GetValueOrDefault(Path.GetExtension(path))
            ?? throw new UnwritableValueException(Messages.Text("Unwritable.Image", path));
        return new RequestImage($"data:{type};base64,", content);
    }

    /// <summary>Writes the address, or the data URL, as a JSON string.</summary>
    public void Write(IBufferWriter<byte> output)
    {
        output.Write("\""u8);
        JsonText.WriteContent(output, _address);
        if (_content is not null)
        {
            Span<byte> target = output.GetSpan(Base64.GetMaxEncodedToUtf8Length(_content.Length));
            Base64.EncodeToUtf8(_content, target, out _, out int written);
            output.Advance(written);
        }

        output.Write("\""u8);
    }

    /// <summary>Returns the type by the first bytes, whatever the extension; null if they are not known.</summary>
    private static string? TypeOf(ReadOnlySpan<byte> content) =>
        content.StartsWith((ReadOnlySpan<byte>)[0x89, (byte)'P', (byte)'N', (byte)'G']) ? "image/png"
        : content.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF]) ? "image/jpeg"
        : content.StartsWith("GIF8"u8) ? "image/gif"
        : content.StartsWith("RIFF"u8) && content.Length >= 12 && content[8..12].SequenceEqual("WEBP"u8) ? "image/webp"
        : content.StartsWith("BM"u8) ? "image/bmp"
        : null;
}
