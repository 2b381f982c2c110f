using System.Management.Automation;
using System.Management.Automation.Language;

namespace InferenceBatch.Binding;

/// <summary>A property that a script block reads from <c>$_</c> and that the input object does not have.</summary>
/// <param name="Name">The name in the script block.</param>
/// <param name="Closest">The property that was probably meant; null if none has a similar name.</param>
internal sealed record MissingProperty(string Name, string? Closest)
{
    /// <summary>Returns the first such property; null if the object has all of them, or has no properties to compare.</summary>
    public static MissingProperty? Of(ScriptBlock script, object? input)
    {
        string[] names = [.. InputFields.NamesOf(input)];
        foreach (Ast part in script.Ast.FindAll(part => part is MemberExpressionAst or IndexExpressionAst, searchNestedScriptBlocks: false))
        {
            (ExpressionAst target, Ast member) = part is IndexExpressionAst index ? (index.Target, index.Index)
                : (((MemberExpressionAst)part).Expression, (Ast)((MemberExpressionAst)part).Member);
            if (part is not InvokeMemberExpressionAst && names.Length > 0 && member is StringConstantExpressionAst { Value: var name }
                && target is VariableExpressionAst { VariablePath.UserPath: "_" or "PSItem" } && !names.Contains(name, StringComparer.OrdinalIgnoreCase))
            {
                return new MissingProperty(name, ClosestName.Of(name, names));
            }
        }

        return null;
    }
}
