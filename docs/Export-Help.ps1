#Requires -Version 7.4

<#
.SYNOPSIS
Generates the help that PowerShell reads from the pages in docs/en-US, after it has compared each page with its cmdlet.

.DESCRIPTION
If a page and the built module differ, the script fails and writes nothing. It compares pages, parameters, types, aliases, parameter sets,
mandatory flags, positions, defaults, the syntax, and the types of input and output. It also finds placeholders that were not filled in.

For a new cmdlet, create the page with New-MarkdownCommandHelp of Microsoft.PowerShell.PlatyPS.

.PARAMETER Destination
The folder for InferenceBatch.dll-Help.xml and about_*.help.txt. It is created if it does not exist.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [string] $Destination
)

# PlatyPS 1.0 runs in the strict mode of its caller, but its code violates it.
Set-StrictMode -Off
$ErrorActionPreference = 'Stop'
Import-Module -Name Microsoft.PowerShell.PlatyPS
$work = Join-Path ([System.IO.Path]::GetTempPath()) "InferenceBatch-$([guid]::NewGuid().ToString('N'))"
$commandPages = @(Get-ChildItem -Path $PSScriptRoot/en-US/*-*.md)
$aboutPages = @(Get-ChildItem -Path $PSScriptRoot/en-US/about_*.md)

# Returns the facts in which a page and its cmdlet must agree, with texts for the report. Defaults are compared separately.
function Get-Fact($Help) {
    $facts = [ordered]@{ 'the parameters are' = $Help.Parameters.Name -join ', ' }
    foreach ($parameter in $Help.Parameters) {
        $facts["-$($parameter.Name): the type is"] = $parameter.Type
        $facts["-$($parameter.Name): the aliases are"] = @($parameter.Aliases | Sort-Object) -join ', '
        $facts["-$($parameter.Name): support for wildcards is"] = $parameter.SupportsWildcards
        foreach ($set in $parameter.ParameterSets | Sort-Object Name) {
            $facts["-$($parameter.Name), set $($set.Name): required, position, pipeline are"] =
            $set.IsRequired, $set.Position, $set.ValueFromPipeline, $set.ValueFromPipelineByPropertyName, $set.ValueFromRemainingArguments -join ', '
        }
    }
    foreach ($syntax in $Help.Syntax) {
        $facts["the syntax of $($syntax.ParameterSetName) is"] = "$syntax" -replace '\s*(\[<CommonParameters>\])?\s*$' -replace '\s+', ' '
    }
    $facts['the inputs are'] = @($Help.Inputs.Typename | Where-Object { $_ -ne 'None' } | Sort-Object -Unique) -join ', '
    $facts['the outputs are'] = @($Help.Outputs.Typename | Sort-Object) -join ', '
    $facts
}

# Returns the default of a parameter. It is 'None' also for the values that mean "not specified" to the cmdlet.
function Get-Default($Command, $Parameter) {
    if ($stated = $Command.Parameters[$Parameter.Name].Attributes.Where({ $_ -is [System.Management.Automation.PSDefaultValueAttribute] })) {
        return [string]$stated[0].Value
    }
    $property = $Command.ImplementingType.GetProperty($Parameter.Name)
    $value = if ($property) { $property.GetValue([Activator]::CreateInstance($Command.ImplementingType)) } else { $false }
    $isMandatory = $Parameter.ParameterSets.IsRequired -contains $true
    if ($isMandatory -or "$value" -in '', '0', "$([int]::MaxValue)") { 'None' } else { [string]$value }
}

function Compare-Page($Page, $Command) {
    $written, $made = (Get-Fact $Page), (Get-Fact (New-CommandHelp -CommandInfo $Command))
    foreach ($fact in @($made.Keys) + @($written.Keys) | Select-Object -Unique) {
        if ($written[$fact] -cne $made[$fact]) {
            "$fact '$($made[$fact])'; the page has '$($written[$fact])'"
        }
    }
    foreach ($parameter in $Page.Parameters | Where-Object Name -In $Command.Parameters.Keys) {
        $default = Get-Default $Command $parameter
        if ($parameter.DefaultValue -cne $default) {
            "-$($parameter.Name): the default is '$default'; the page has '$($parameter.DefaultValue)'"
        }
    }
}

# Converts Markdown to console text: code and output are indented, and names lose their backticks.
function ConvertTo-Paragraph([string] $Markdown) {
    foreach ($block in [regex]::Split($Markdown, '(?ms)(^```.*?^```\s*$)')) {
        $lines = $block.Trim() -split '\r?\n'
        if ($lines[0].StartsWith('```')) {
            $first = $lines[0].StartsWith('```powershell') ? 'PS> ' : '    '
            $lines[1..($lines.Count - 2)].ForEach({ ($first + $_).TrimEnd(); $first = '    ' }) -join "`n"
        }
        else {
            foreach ($paragraph in $block -split '(?:\r?\n){2,}' | Where-Object { $_.Trim() }) {
                $paragraph.Trim() -replace '(?<!`)`([^`\n]+)`', '$1' -replace '\[([^\]\n]+)\]\([^)\n]+\)', '$1'
            }
        }
    }
}

function ConvertTo-ConsoleText($Page) {
    $text = { param($Markdown) @(ConvertTo-Paragraph $Markdown) -join "`n`n" }
    $Page.Synopsis = & $text $Page.Synopsis
    $Page.Description = & $text $Page.Description
    $Page.Notes = & $text $Page.Notes
    foreach ($part in @($Page.Parameters) + @($Page.Inputs) + @($Page.Outputs)) {
        $part.Description = & $text $part.Description
    }
    foreach ($parameter in $Page.Parameters) {
        $parameter.Type = $parameter.Type -replace '^System\.Nullable`1\[(.*)\]$', '$1'
    }
    $Page
}

# Adds to the MAML what PlatyPS omits, and removes what a console cannot show.
function Complete-Maml([string] $Path, $Pages) {
    $maml = [xml]::new()
    $maml.Load($Path)
    $names = [System.Xml.XmlNamespaceManager]::new($maml.NameTable)
    foreach ($prefix in 'maml', 'command', 'dev') {
        $names.AddNamespace($prefix, $maml.DocumentElement.GetNamespaceOfPrefix($prefix))
    }
    foreach ($node in $maml.SelectNodes('//maml:navigationLink[maml:linkText="Online Version"]', $names)) {
        $null = $node.ParentNode.RemoveChild($node)
    }
    foreach ($uri in $maml.SelectNodes('//maml:navigationLink/maml:uri', $names)) {
        $uri.InnerText = ''
    }
    foreach ($page in $Pages) {
        $command = $maml.SelectSingleNode("//command:command[command:details/command:name='$($page.Title)']", $names)
        foreach ($node in $command.SelectNodes('command:parameters/command:parameter', $names)) {
            $name = $node.SelectSingleNode('maml:name', $names).InnerText
            $default = $maml.CreateElement('dev', 'defaultValue', $names.LookupNamespace('dev'))
            $default.InnerText = $page.Parameters.Where({ $_.Name -eq $name }).DefaultValue
            $null = $node.AppendChild($default)
        }
        $number = 0
        foreach ($node in $command.SelectNodes('command:examples/command:example', $names)) {
            $example = $page.Examples[$number++]
            $node.SelectSingleNode('maml:title', $names).InnerText = "-- $($example.Title) --"
            $introduction = $node.SelectSingleNode('maml:introduction', $names)
            $introduction.RemoveAll()
            $para = $introduction.AppendChild($maml.CreateElement('maml', 'para', $names.LookupNamespace('maml')))
            $para.InnerText = @(ConvertTo-Paragraph $example.Remarks) -join "`n`n"
        }
    }
    $settings = [System.Xml.XmlWriterSettings]@{ Indent = $true; NewLineChars = "`n"; Encoding = [System.Text.UTF8Encoding]::new($false) }
    $writer = [System.Xml.XmlWriter]::Create($Path, $settings)
    $maml.Save($writer)
    $writer.Dispose()
}

# Converts an about page to text: headings at the margin, everything else indented, wrapped to 80 columns.
function ConvertTo-AboutText([string] $Markdown) {
    $lines = foreach ($block in [regex]::Split($Markdown, '(?m)^(#+ .*)$')) {
        if ($block -match '^#+ (?<Heading>.*)') {
            $Matches.Heading.Trim()
            continue
        }
        foreach ($paragraph in ConvertTo-Paragraph $block) {
            if ($paragraph -match '^(    |PS> |\|)') {
                $paragraph -split '\n' | ForEach-Object { "    $_" }
            }
            else {
                foreach ($line in $paragraph -split '\n') {
                    $first, $more = [regex]::Matches($line, '\S(?:.{0,73}\S)?(?=\s|$)').Value
                    "    $first"
                    $indent = $line -match '^- ' ? '      ' : '    '
                    foreach ($rest in $more) { $indent + $rest }
                }
            }
            ''
        }
    }
    (($lines -join "`n").TrimEnd() -replace '(?m)[ \t]+$') + "`n"
}

try {
    # Imports a copy of the module without its current help, because PlatyPS would read that.
    $null = New-Item -Path $work/InferenceBatch/bin -ItemType Directory
    Copy-Item -LiteralPath $PSScriptRoot/../InferenceBatch.psd1 -Destination $work/InferenceBatch
    Copy-Item -Path $PSScriptRoot/../bin/*.* -Destination $work/InferenceBatch/bin
    Import-Module -Name $work/InferenceBatch/InferenceBatch.psd1 -Force
    $commands = @(Get-Command -Module InferenceBatch)
    $pages = @()
    $problems = @(
        foreach ($name in $commands.Name | Where-Object { $_ -notin $commandPages.BaseName }) {
            "$name has no page in docs/en-US."
        }
        foreach ($place in $commandPages + $aboutPages | Select-String -Pattern '\{\{') {
            "$($place.Filename), line $($place.LineNumber): a placeholder was not filled in."
        }
        foreach ($file in $commandPages) {
            $page = Import-MarkdownCommandHelp -LiteralPath $file.FullName
            if ($command = $commands | Where-Object Name -EQ $file.BaseName) {
                Compare-Page $page $command | ForEach-Object { "$($file.Name): $_." }
            }
            else {
                "$($file.Name) does not belong to a cmdlet."
            }
            $pages += $page
        }
    )
    if ($problems) {
        $problems | Out-Host
        throw "docs/en-US and the module differ in $($problems.Count) places."
    }

    $maml = @($pages | ForEach-Object { ConvertTo-ConsoleText $_ } | Export-MamlCommandHelp -OutputFolder $work -Force)
    Complete-Maml $maml[0].FullName $pages
    $null = New-Item -Path $Destination -ItemType Directory -Force
    Copy-Item -LiteralPath $maml[0].FullName -Destination $Destination
    Remove-Item -Path $Destination/about_*.help.txt
    foreach ($page in $aboutPages) {
        $text = ConvertTo-AboutText (Get-Content -LiteralPath $page.FullName -Raw)
        [System.IO.File]::WriteAllText((Join-Path (Resolve-Path -LiteralPath $Destination).ProviderPath "$($page.BaseName).help.txt"), $text)
    }
    Get-ChildItem -LiteralPath $Destination
}
finally {
    Remove-Item -LiteralPath $work -Recurse -Force -ErrorAction Ignore
}
