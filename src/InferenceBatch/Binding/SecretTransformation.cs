using System.Management.Automation;
using System.Security;

namespace InferenceBatch.Binding;

/// <summary>Lets a SecureString parameter also accept text, so that <c>Get-Secret</c> and <c>$env:</c> both work.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
internal sealed class SecretTransformationAttribute : ArgumentTransformationAttribute
{
    public override object Transform(EngineIntrinsics engineIntrinsics, object inputData)
    {
        object? plain = inputData is PSObject wrapped ? wrapped.BaseObject : inputData;
        if (plain is not string text)
        {
            return inputData;
        }

        var secret = new SecureString();
        foreach (char c in text)
        {
            secret.AppendChar(c);
        }

        secret.MakeReadOnly();
        return secret;
    }
}
