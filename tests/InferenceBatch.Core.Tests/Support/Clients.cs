using InferenceBatch.Service;

namespace InferenceBatch.Support;

internal static class Clients
{
    public const string Key = "sk-not-to-be-seen";

    public static BatchClient For(
        FaultServer server, FakeTime? time = null, ServiceProfile? profile = null, Uri? alternate = null, Action<string>? warn = null,
        IReadOnlyDictionary<string, string>? headers = null) =>
        new(new ServiceConnection(server.BaseUri, profile ?? ServiceProfile.Generic, Key, headers, alternate), time ?? new FakeTime(), warn);

    public static async Task<List<T>> ToListAsync<T>(this IAsyncEnumerable<T> items)
    {
        var list = new List<T>();
        await foreach (T item in items)
        {
            list.Add(item);
        }

        return list;
    }

    /// <summary>Waits for work that is to fail, for a while.</summary>
    public static Task<ServiceException> FailsAsync(Task work) =>
        Assert.ThrowsAsync<ServiceException>(() => work.WaitAsync(TimeSpan.FromSeconds(30)));
}
