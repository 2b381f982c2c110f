using System.ComponentModel;
using System.Diagnostics;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>The copy of tests/compat in the build output, with its packages installed.</summary>
internal static class CompatProject
{
    private static readonly string s_folder = Path.Combine(AppContext.BaseDirectory, "compat");
    private static readonly Lazy<string?> s_problem = new(Install);

    /// <summary>The reason why the tests cannot run here; null if they can.</summary>
    public static string? Problem => s_problem.Value;

    /// <summary>Runs the tests and returns their output.</summary>
    public static (int ExitCode, string Output) Test(params (string Name, string Value)[] environment) => Run("npm", ["test", "--silent"], environment);

    private static string? Install()
    {
        try
        {
            if (Run("node", ["--version"]) is not (0, var version) || !Version.TryParse(version.Trim().TrimStart('v'), out Version? found) || found.Major < 20)
            {
                return "The npm clients require Node 20 or later.";
            }

            // Reuse the installation of an earlier run if the lock file has not changed.
            string marker = Path.Combine(s_folder, "node_modules", ".installed");
            string lockFile = File.ReadAllText(Path.Combine(s_folder, "package-lock.json"));
            if (!File.Exists(marker) || File.ReadAllText(marker) != lockFile)
            {
                if (Run("npm", ["ci", "--no-audit", "--no-fund"]) is not (0, _) and var (_, said))
                {
                    return "npm could not install the clients: " + said.Trim();
                }

                File.WriteAllText(marker, lockFile);
            }

            return null;
        }
        catch (Win32Exception exception)
        {
            return "The npm clients require node and npm: " + exception.Message;
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
