using System.ComponentModel;
using System.Diagnostics;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>tests/compat, as the build copied it, with its package installed once.</summary>
internal static class CompatProject
{
    private static readonly string s_folder = Path.Combine(AppContext.BaseDirectory, "compat");
    private static readonly Lazy<string?> s_problem = new(Install);

    /// <summary>Why it cannot be run here; null where it can.</summary>
    public static string? Problem => s_problem.Value;

    /// <summary>Runs its tests to their end.</summary>
    public static (int ExitCode, string Output) Test(params (string Name, string Value)[] environment) => Run("npm", ["test", "--silent"], environment);

    private static string? Install()
    {
        try
        {
            if (Run("node", ["--version"]) is not (0, var version) || !Version.TryParse(version.Trim().TrimStart('v'), out Version? found) || found.Major < 20)
            {
                return "Node 20 or later is needed for the openai npm client.";
            }

            // What a run before this one installed will do, while it is what the lock file says.
            string marker = Path.Combine(s_folder, "node_modules", ".installed");
            string wanted = File.ReadAllText(Path.Combine(s_folder, "package-lock.json"));
            if (!File.Exists(marker) || File.ReadAllText(marker) != wanted)
            {
                if (Run("npm", ["ci", "--no-audit", "--no-fund"]) is not (0, _) and var (_, said))
                {
                    return "npm could not install the openai client: " + said.Trim();
                }

                File.WriteAllText(marker, wanted);
            }

            return null;
        }
        catch (Win32Exception exception)
        {
            return "node and npm are needed for the openai npm client: " + exception.Message;
        }
    }

    private static (int ExitCode, string Output) Run(string command, string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(OperatingSystem.IsWindows() && command == "npm" ? "npm.cmd" : command, arguments)
        {
            WorkingDirectory = s_folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.Result);
    }
}
