using System.Globalization;

namespace InferenceBatch.Support;

/// <summary>
/// The seed of this run's random tests: that of INFERENCE_BATCH_TEST_SEED, else a new one. Tests print it, so that a
/// failure can be had again.
/// </summary>
internal static class Seed
{
    private const string Variable = "INFERENCE_BATCH_TEST_SEED";

    public static int Value { get; } =
        int.TryParse(Environment.GetEnvironmentVariable(Variable), CultureInfo.InvariantCulture, out int given)
            ? given : Random.Shared.Next();

    public static string Hint => $"to see it again: {Variable}={Value}";

    /// <summary>How much longer random tests run than in the normal suite; INFERENCE_BATCH_TEST_ROUNDS, 1 unless given.</summary>
    public static int Rounds { get; } =
        int.TryParse(Environment.GetEnvironmentVariable("INFERENCE_BATCH_TEST_ROUNDS"), CultureInfo.InvariantCulture, out int rounds)
            ? rounds : 1;

    /// <summary>A generator of a test's own, so that tests do not depend on each other's order.</summary>
    public static Random For(string test) => new(Value ^ test.Aggregate(17, (hash, c) => unchecked((hash * 31) + c)));
}
