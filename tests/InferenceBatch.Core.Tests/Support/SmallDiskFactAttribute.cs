namespace InferenceBatch.Support;

/// <summary>A test that mounts a small disk, which only root may, and on Linux.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SmallDiskFactAttribute : FactAttribute
{
    public SmallDiskFactAttribute()
    {
        try
        {
            using var disk = new SmallDisk(64 * 1024);
        }
        catch (Exception exception) when (exception is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            Skip = "A small disk could not be mounted: " + exception.Message;
        }
    }
}
