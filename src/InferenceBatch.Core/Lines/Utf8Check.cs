using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using System.Text.Unicode;

namespace InferenceBatch.Lines;

/// <summary>
/// Whether bytes are UTF-8, sixteen or thirty-two at a time: several times as fast as <see cref="Utf8.IsValid"/> on text that is not
/// ASCII. The method is that of Keiser and Lemire, "Validating UTF-8 In Less Than One Instruction Per Byte" (2021):
/// three table look-ups over two neighbouring bytes find every error that two bytes can show.
/// </summary>
internal static class Utf8Check
{
    private const byte TooShort = 1 << 0;
    private const byte TooLong = 1 << 1;
    private const byte Overlong3 = 1 << 2;
    private const byte TooLarge = 1 << 3;
    private const byte Surrogate = 1 << 4;
    private const byte Overlong2 = 1 << 5;
    private const byte TooLarge1000 = 1 << 6;
    private const byte Overlong4 = 1 << 6;
    private const byte TwoContinuations = 1 << 7;
    private const byte Any = TooShort | TooLong | TwoContinuations;

    /// <summary>By the first byte's upper half.</summary>
    private static Vector128<byte> FirstHigh => Vector128.Create(
        TooLong, TooLong, TooLong, TooLong, TooLong, TooLong, TooLong, TooLong,
        TwoContinuations, TwoContinuations, TwoContinuations, TwoContinuations,
        TooShort | Overlong2, TooShort, TooShort | Overlong3 | Surrogate, TooShort | TooLarge | TooLarge1000 | Overlong4);

    /// <summary>By the first byte's lower half.</summary>
    private static Vector128<byte> FirstLow => Vector128.Create(
        Any | Overlong3 | Overlong2 | Overlong4, Any | Overlong2, Any, Any, Any | TooLarge,
        Any | TooLarge | TooLarge1000, Any | TooLarge | TooLarge1000, Any | TooLarge | TooLarge1000, Any | TooLarge | TooLarge1000,
        Any | TooLarge | TooLarge1000, Any | TooLarge | TooLarge1000, Any | TooLarge | TooLarge1000, Any | TooLarge | TooLarge1000,
        Any | TooLarge | TooLarge1000 | Surrogate, Any | TooLarge | TooLarge1000, Any | TooLarge | TooLarge1000);

    /// <summary>By the second byte's upper half.</summary>
    private static Vector128<byte> SecondHigh => Vector128.Create(
        TooShort, TooShort, TooShort, TooShort, TooShort, TooShort, TooShort, TooShort,
        TooLong | Overlong2 | TwoContinuations | Overlong3 | TooLarge1000 | Overlong4,
        TooLong | Overlong2 | TwoContinuations | Overlong3 | TooLarge,
        TooLong | Overlong2 | TwoContinuations | Surrogate | TooLarge,
        TooLong | Overlong2 | TwoContinuations | Surrogate | TooLarge,
        TooShort, TooShort, TooShort, TooShort);

    public static bool IsValid(ReadOnlySpan<byte> text)
    {
        if (!(Ssse3.IsSupported || AdvSimd.Arm64.IsSupported) || text.Length < Vector128<byte>.Count)
        {
            return Utf8.IsValid(text);
        }

        ref byte start = ref MemoryMarshal.GetReference(text);
        int place = 0;
        if (Avx2.IsSupported && !IsValidTwice(ref start, text.Length, ref place))
        {
            return false;
        }

        Vector128<byte> errors = default;
        Vector128<byte> before = place == 0 ? default : Vector128.LoadUnsafe(ref start, (nuint)(place - Vector128<byte>.Count));
        for (; place <= text.Length - Vector128<byte>.Count; place += Vector128<byte>.Count)
        {
            var block = Vector128.LoadUnsafe(ref start, (nuint)place);
            if ((block | before).ExtractMostSignificantBits() != 0)
            {
                errors |= Errors(block, before);
            }

            before = block;
        }

        // Zeros behind the end show a character that was cut off.
        Span<byte> rest = stackalloc byte[Vector128<byte>.Count];
        rest.Clear();
        text[place..].CopyTo(rest);
        errors |= Errors(Vector128.Create((ReadOnlySpan<byte>)rest), before);
        return errors == default;
    }

    /// <summary>Checks as many whole blocks of thirty-two as there are, the same way, and moves the place behind them.</summary>
    private static bool IsValidTwice(ref byte start, int length, ref int place)
    {
        var firstHigh = Vector256.Create(FirstHigh, FirstHigh);
        var firstLow = Vector256.Create(FirstLow, FirstLow);
        var secondHigh = Vector256.Create(SecondHigh, SecondHigh);
        var lowHalf = Vector256.Create((byte)0x0F);
        Vector256<byte> errors = default;
        Vector256<byte> before = default;
        for (; place <= length - Vector256<byte>.Count; place += Vector256<byte>.Count)
        {
            var block = Vector256.LoadUnsafe(ref start, (nuint)place);
            if ((block | before).ExtractMostSignificantBits() != 0)
            {
                Vector256<byte> across = Avx2.Permute2x128(before, block, 0x21);
                Vector256<byte> one = Avx2.AlignRight(block, across, 15);
                Vector256<byte> pairs = Avx2.Shuffle(firstHigh, (one.AsUInt16() >>> 4).AsByte() & lowHalf)
                    & Avx2.Shuffle(firstLow, one & lowHalf)
                    & Avx2.Shuffle(secondHigh, (block.AsUInt16() >>> 4).AsByte() & lowHalf);
                Vector256<byte> isLater = Avx2.SubtractSaturate(Avx2.AlignRight(block, across, 14), Vector256.Create((byte)(0xE0 - 0x80)))
                    | Avx2.SubtractSaturate(Avx2.AlignRight(block, across, 13), Vector256.Create((byte)(0xF0 - 0x80)));
                errors |= (isLater & Vector256.Create((byte)0x80)) ^ pairs;
            }

            before = block;
        }

        return errors == default;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Errors(Vector128<byte> block, Vector128<byte> before)
    {
        Vector128<byte> one = Shifted(block, before, 1);
        Vector128<byte> pairs = Look(FirstHigh, one >>> 4) & Look(FirstLow, one & Vector128.Create((byte)0x0F)) & Look(SecondHigh, block >>> 4);

        // A third or fourth byte must be a continuation behind a continuation, and nothing else may be.
        Vector128<byte> isLater = LessOrZero(Shifted(block, before, 2), 0xE0 - 0x80) | LessOrZero(Shifted(block, before, 3), 0xF0 - 0x80);
        return (isLater & Vector128.Create((byte)0x80)) ^ pairs;
    }

    /// <summary>The bytes that stand a few places before those of the block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Shifted(Vector128<byte> block, Vector128<byte> before, byte places) => places switch
    {
        1 => Ssse3.IsSupported ? Ssse3.AlignRight(block, before, 15) : AdvSimd.ExtractVector128(before, block, 15),
        2 => Ssse3.IsSupported ? Ssse3.AlignRight(block, before, 14) : AdvSimd.ExtractVector128(before, block, 14),
        _ => Ssse3.IsSupported ? Ssse3.AlignRight(block, before, 13) : AdvSimd.ExtractVector128(before, block, 13),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Look(Vector128<byte> table, Vector128<byte> places) =>
        Ssse3.IsSupported ? Ssse3.Shuffle(table, places) : AdvSimd.Arm64.VectorTableLookup(table, places);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> LessOrZero(Vector128<byte> bytes, byte less) => Sse2.IsSupported
        ? Sse2.SubtractSaturate(bytes, Vector128.Create(less))
        : AdvSimd.SubtractSaturate(bytes, Vector128.Create(less));
}
