#Requires -Version 7.4

<#
.SYNOPSIS
Makes the help that PowerShell reads from the pages in docs/en-US, after comparing each page with its cmdlet.

.DESCRIPTION
Fails, and writes nothing, when a page and the module as built disagree: a page or a parameter that is missing or one too many, a
type, an alias, a parameter set, a mandatory flag, a position, a default, the syntax, what goes in and comes out, or text that was left to be filled in.

For a new cmdlet, New-MarkdownCommandHelp of Microsoft.PowerShell.PlatyPS makes the page to be filled in.

.PARAMETER Destination
The folder to write InferenceBatch.dll-Help.xml and about_*.help.txt to. It is made where it does not exist.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [string] $Destination
)

# PlatyPS 1.0 runs in the caller's strict mode, and does not hold to it.
Set-StrictMode -Off
$ErrorActionPreference = 'Stop'
Import-Module -Name Microsoft.PowerShell.PlatyPS
$work = Join-Path ([System.IO.Path]::GetTempPath()) "InferenceBatch-$([guid]::NewGuid().ToString('N'))"
$commandPages = @(Get-ChildItem -Path $PSScriptRoot/en-US/*-*.md)
$aboutPages = @(Get-ChildItem -Path $PSScriptRoot/en-US/about_*.md)

# What a page must have in common with its cmdlet, each with the words that name it. Defaults are compared for themselves.
function Get-Fact($Help) {
    $facts = [ordered]@{ 'the parameters are' = $Help.Parameters.Name -join ', ' }
    foreach ($parameter in $Help.Parameters) {
        $facts["-$($parameter.Name): the type is"] = $parameter.Type
        $facts["-$($parameter.Name): the aliases are"] = @($parameter.Aliases | Sort-Object) -join ', '
        $facts["-$($parameter.Name): wildcards are taken:"] = $parameter.SupportsWildcards
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

# The value a parameter has where it is not given. 'None' also stands for the values that mean "not given" to the cmdlet.
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

# Markdown as a person at the prompt reads it: code and output are indented, names stand without their ticks.
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

# What PlatyPS leaves out of its MAML, or puts into it that a console cannot show.
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

# An about page as text: headings at the margin, all else indented, wrapped to 80 columns.
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
    # The cmdlets as they are, without the help they have so far: PlatyPS would read it.
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
            "$($place.Filename), line $($place.LineNumber): text was left to be filled in."
        }
        foreach ($file in $commandPages) {
            $page = Import-MarkdownCommandHelp -LiteralPath $file.FullName
            if ($command = $commands | Where-Object Name -EQ $file.BaseName) {
                Compare-Page $page $command | ForEach-Object { "$($file.Name): $_." }
            }
            else {
                "$($file.Name) is the page of no cmdlet."
            }
            $pages += $page
        }
    )
    if ($problems) {
        $problems | Out-Host
        throw "docs/en-US and the module disagree in $($problems.Count) places."
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
