using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>What came of sending a part: a batch, when both are null.</summary>
/// <param name="Refusal">The service has no room for it now, or cannot be reached; the part is to be tried again later.</param>
/// <param name="Failure">The part cannot be sent; the error is that of its requests.</param>
internal readonly record struct SendOutcome(ServiceException? Refusal, ServiceError? Failure);
