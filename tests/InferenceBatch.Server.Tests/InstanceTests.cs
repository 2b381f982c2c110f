using InferenceBatch.Server.Storage;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>The header by which a client recognizes the service that has its batches.</summary>
public sealed class InstanceTests
{
    private const string Header = "x-inference-batch-instance";

    [Fact]
    public async Task The_instance_stays_the_same_after_a_restart_and_differs_for_another_folder()
    {
        using var folder = new TempFolder();
        (string first, Uri before) = await AskAsync(folder);
        (string second, Uri after) = await AskAsync(folder);
        Assert.Equal(first, second);
        Assert.NotEqual(before, after);
        using var other = new TempFolder();
        Assert.NotEqual(first, (await AskAsync(other)).Instance);
    }

    [Fact]
    public async Task Every_response_has_the_instance_also_without_a_key()
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = ["key-1"] });
        var seen = new HashSet<string>();
        foreach (string path in new[] { "/healthz", "/v1/healthz", "/v1/batches", "/v1/nothing", "/" })
        {
            using HttpResponseMessage response = await service.Api.Http.GetAsync(path);
            seen.Add(Assert.Single(response.Headers.GetValues(Header)));
        }

        using HttpResponseMessage post = await service.Api.Http.PostAsync("/v1/batches", null);
        seen.Add(Assert.Single(post.Headers.GetValues(Header)));
        Assert.Matches("^inst_[0-9A-Za-z]{24}$", Assert.Single(seen));
    }

    [Fact]
    public void A_database_of_an_earlier_version_gets_an_instance_and_keeps_it()
    {
        using var folder = new TempFolder();
        string path = folder.File("batches.db");
        using (Database database = Database.Open(path))
        {
            database.Execute("DROP TABLE instance");
        }

        string? created;
        using (Database database = Database.Open(path))
        {
            created = database.Instance;
        }

        using Database again = Database.Open(path);
        Assert.NotNull(created);
        Assert.Equal(created, again.Instance);
    }

    [Fact]
    public async Task A_new_database_is_another_instance()
    {
        using var folder = new TempFolder();
        string first = (await AskAsync(folder)).Instance;
        foreach (string file in Directory.GetFiles(folder.Path, "batches.db*"))
        {
            File.Delete(file);
        }

        Assert.NotEqual(first, (await AskAsync(folder)).Instance);
    }

    private static async Task<(string Instance, Uri Address)> AskAsync(TempFolder folder)
    {
        await using TestService service = await TestService.StartAsync(folder: folder);
        using HttpResponseMessage response = await service.Api.Http.GetAsync("/healthz");
        return (Assert.Single(response.Headers.GetValues(Header)), service.Address);
    }
}
