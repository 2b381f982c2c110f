using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>What came of sending a part: a batch, when both are null.</summary>
/// <param name="Refusal">The service has no room for it now, or cannot be reached; the part is to be tried again later.</param>
/// <param name="Failure">The part was not sent; the error is that of its requests.</param>
/// <param name="IsTemporary">Whether the failure says nothing against the requests: there was no more time to wait for the service.</param>
internal readonly record struct SendOutcome(ServiceException? Refusal, ServiceError? Failure, bool IsTemporary = false);
