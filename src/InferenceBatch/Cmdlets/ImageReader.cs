using System.Management.Automation;
using InferenceBatch.Binding;

namespace InferenceBatch.Cmdlets;

/// <summary>Reads the images for a request.</summary>
/// <param name="paths">Resolves the paths of local files.</param>
/// <param name="writeError">Receives an error for an image that cannot be read.</param>
/// <param name="describe">Describes an input object for an error message.</param>
internal sealed class ImageReader(PathResolver paths, Action<ErrorRecord> writeError, Func<object?, string> describe)
{
    /// <summary>Returns the images, without empty names; null after an error.</summary>
    /// <param name="images">Addresses, or paths of local files.</param>
    /// <param name="input">The input object that they belong to.</param>
    public List<RequestImage>? Read(string[]? images, object? input)
    {
        var read = new List<RequestImage>(images?.Length ?? 0);
        foreach (string image in images ?? [])
        {
            if (string.IsNullOrEmpty(image))
            {
                continue;
            }

            if (RequestImage.IsAddress(image))
            {
                read.Add(RequestImage.FromAddress(image));
            }
            else if (ReadFile(image, input) is { } local)
            {
                read.Add(local);
            }
            else
            {
                return null;
            }
        }

        return read;
    }

    private RequestImage? ReadFile(string path, object? input)
    {
        if (paths.Output(path) is not { } full)
        {
            return null;
        }

        if (Directory.Exists(full))
        {
            writeError(ErrorRecords.NotAFile(full));
            return null;
        }

        try
        {
            return RequestImage.FromFile(full);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            writeError(ErrorRecords.Caused(exception, "FileNotFound.Image", input, describe(input), full));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            writeError(ErrorRecords.Caused(exception, "FileUnreadable.Image", input, describe(input), exception.Message));
        }

        return null;
    }
}
