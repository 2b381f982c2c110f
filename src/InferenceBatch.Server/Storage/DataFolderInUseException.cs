namespace InferenceBatch.Server.Storage;

/// <summary>Another process uses the data folder.</summary>
internal sealed class DataFolderInUseException(string folder, string? processId)
    : IOException($"The data folder '{folder}' is in use by another inference-batch{(processId is null ? "" : $" (process {processId})")}.");
