using System.Buffers.Binary;
using System.Collections.Concurrent;

namespace InferenceBatch.Wire;

/// <summary>
/// Finds secrets, and recognizable parts of them, in UTF-8. Any such part contains four bytes that begin at a multiple of
/// the stride, so a search checks only about every ninth position of a text, and its time does not grow with the number of
/// secrets.
/// </summary>
/// <remarks>Thread-safe. Searches that begin after a secret was added find it.</remarks>
internal sealed class SecretTable
{
    private const int GramLength = 4;
    private const int FilterBits = 16;

    private readonly ConcurrentDictionary<uint, Place[]> _places = new();
    private readonly byte[] _filter = new byte[1 << (FilterBits - 3)];

    /// <summary>The distance of checked positions; 0 while there is no secret.</summary>
    private volatile int _stride;

    public bool IsEmpty => _stride == 0;

    private static ReadOnlySpan<byte> Cover => "***"u8;

    /// <summary>Adds the form of a secret. Only one thread at a time may call this method.</summary>
    public void Add(SecretForm form)
    {
        for (int at = 0; at + GramLength <= form.Bytes.Length; at++)
        {
            var place = new Place(form, at);
            uint gram = BinaryPrimitives.ReadUInt32LittleEndian(form.Bytes.AsSpan(at));
            _places.AddOrUpdate(gram, _ => [place], (_, known) => [.. known, place]);
            uint hash = Hash(gram);
            _filter[hash >> 3] |= (byte)(1 << (int)(hash & 7));
        }

        int stride = form.MinLength - GramLength + 1;
        _stride = _stride == 0 ? stride : Math.Min(_stride, stride);
    }

    public bool IsIn(ReadOnlySpan<byte> text)
    {
        int stride = _stride;
        int at = 0;
        return stride > 0 && Find(text, stride, 0, ref at, out _, out _);
    }

    /// <summary>
    /// Replaces every secret with <c>***</c>. Valid JSON remains valid: an escape sequence is replaced as a whole or not at all.
    /// </summary>
    /// <returns>The new length of the text; the old one if nothing was found.</returns>
    public int Mask(Span<byte> text)
    {
        int stride = _stride;
        if (stride == 0)
        {
            return text.Length;
        }

        int read = 0;
        int written = 0;
        for (int at = 0; Find(text, stride, read, ref at, out int start, out int end); at = end)
        {
            text[read..start].CopyTo(text[written..]);
            written += start - read;
            if (start > read || read == 0)
            {
                Cover.CopyTo(text[written..]);
                written += Cover.Length;
            }

            read = end;
        }

        if (read == 0)
        {
            return text.Length;
        }

        text[read..].CopyTo(text[written..]);
        return written + text.Length - read;
    }

    /// <summary>Finds the next secret from <paramref name="at"/> on. It does not begin before <paramref name="floor"/>.</summary>
    private bool Find(ReadOnlySpan<byte> text, int stride, int floor, ref int at, out int start, out int end)
    {
        byte[] filter = _filter;
        for (; at <= text.Length - GramLength; at += stride)
        {
            uint gram = BinaryPrimitives.ReadUInt32LittleEndian(text[at..]);
            uint hash = Hash(gram);
            if ((filter[hash >> 3] & (1 << (int)(hash & 7))) != 0 && _places.TryGetValue(gram, out Place[]? places))
            {
                (start, end) = (0, 0);
                foreach (Place place in places)
                {
                    (int from, int to) = Extend(text, floor, at, place);
                    (start, end) = to - from > end - start ? (from, to) : (start, end);
                }

                if (end > start)
                {
                    return true;
                }
            }
        }

        (start, end) = (0, 0);
        return false;
    }

    /// <summary>Returns the longest match of a text and a form around a position; empty if it is too short.</summary>
    private static (int Start, int End) Extend(ReadOnlySpan<byte> text, int floor, int at, Place place)
    {
        byte[] bytes = place.Form.Bytes;
        int before = Math.Min(at - floor, place.Offset);
        int left = 0;
        while (left < before && text[at - left - 1] == bytes[place.Offset - left - 1])
        {
            left++;
        }

        int right = text[at..].CommonPrefixLength(bytes.AsSpan(place.Offset));
        (int first, int last, int count) = place.Form.CompleteCharacters(place.Offset - left, place.Offset + right);
        if (count < place.Form.MinLength)
        {
            return default;
        }

        int start = EscapeStart(text, floor, at + first - place.Offset);
        int end = EscapeEnd(text, floor, at + last - place.Offset);
        return place.Form.IsShort && !IsWord(text, floor, start, end) ? default : (start, end);
    }

    private static bool IsWord(ReadOnlySpan<byte> text, int floor, int start, int end) =>
        (start == floor || !IsWordByte(text[start - 1]) || EscapeStart(text, floor, start - 1) < start - 1)
        && (end == text.Length || !IsWordByte(text[end]));

    private static bool IsWordByte(byte value) => char.IsAsciiLetterOrDigit((char)value) || value is (byte)'_' or (byte)'-' or > 0x7F;

    /// <summary>Returns the start of the JSON escape sequence that a position is in; the position itself if it is in none.</summary>
    private static int EscapeStart(ReadOnlySpan<byte> text, int floor, int at)
    {
        const int LongestTail = 5; // uXXXX
        for (int backslash = at - 1; backslash >= Math.Max(floor, at - LongestTail); backslash--)
        {
            if (text[backslash] == (byte)'\\')
            {
                int first = backslash;
                while (first > floor && text[first - 1] == (byte)'\\')
                {
                    first--;
                }

                // The first of two backslashes escapes the second.
                bool isEscape = (backslash - first) % 2 == 0;
                return isEscape && at < backslash + EscapeLength(text, backslash) ? backslash : at;
            }
        }

        return at;
    }

    private static int EscapeEnd(ReadOnlySpan<byte> text, int floor, int at) =>
        EscapeStart(text, floor, at) is var start && start < at ? Math.Min(text.Length, start + EscapeLength(text, start)) : at;

    private static int EscapeLength(ReadOnlySpan<byte> text, int backslash) =>
        backslash + 1 < text.Length && text[backslash + 1] == (byte)'u' ? 6 : 2;

    private static uint Hash(uint gram) => gram * 0x9E3779B1 >> (32 - FilterBits);

    /// <summary>The position of four bytes in a form.</summary>
    private readonly record struct Place(SecretForm Form, int Offset);
}
