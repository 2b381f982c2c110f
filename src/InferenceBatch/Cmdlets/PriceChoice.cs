using System.Management.Automation;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Cmdlets;

/// <summary>Reads prices from the parameters, else from the file at -PricePath, else from the user's price table if it exists.</summary>
internal static class PriceChoice
{
    /// <summary>Returns the prices. A file that cannot be used is a terminating error.</summary>
    public static PriceTable Read(PSCmdlet cmdlet, decimal? inputPrice, decimal? outputPrice, string? pricePath)
    {
        var given = new ModelPrice(inputPrice, outputPrice);
        string? path = pricePath is not null
            ? new PathResolver(cmdlet, cmdlet.ThrowTerminatingError).Files([pricePath], literal: true).FirstOrDefault()
            : File.Exists(PriceTable.DefaultPath) ? PriceTable.DefaultPath : null;
        try
        {
            return path is null ? new PriceTable(given) : PriceTable.Read(path, given);
        }
        catch (Exception exception) when (exception is FormatException or IOException or UnauthorizedAccessException)
        {
            cmdlet.ThrowTerminatingError(exception is FormatException
                ? ErrorRecords.PassOn("InvalidPriceTable", path, exception) : ErrorRecords.From(exception, path));
            throw;
        }
    }
}
