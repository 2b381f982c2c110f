BeforeAll {
    . $PSScriptRoot/Common.ps1

    function Get-Body {
        param([Parameter(ValueFromPipeline)] $Request)

        process { $Request.Body | ConvertFrom-Json }
    }
}

Describe 'New-BatchRequest' {
    Context 'what it returns' {
        It 'builds one chat request from a text' {
            $request = New-BatchRequest 'What is the capital of France?' -Model 'meta-llama/llama-3.2-1b-instruct/fp-8' -MaxTokens 1000
            $request | Should -BeOfType InferenceBatch.Model.BatchRequest
            $request.CustomId | Should -BeExactly 'request-1'
            $request.Method | Should -BeExactly 'POST'
            $request.Url | Should -BeExactly '/v1/chat/completions'
            $request.Body | Should -BeExactly (
                '{"model":"meta-llama/llama-3.2-1b-instruct/fp-8","messages":[{"role":"user","content":"What is the capital of France?"}],"max_tokens":1000}')
        }

        It 'keeps the object it was built from' {
            $row = [pscustomobject]@{ Prompt = 'x'; Id = 7 }
            $request = $row | New-BatchRequest -Model m
            [object]::ReferenceEquals($request.InputObject, $row) | Should -BeTrue
        }

        It 'streams: returns the first request before it reads the second object' {
            $asked = [System.Collections.Generic.List[int]]::new()
            $first = & { foreach ($i in 1..100) { $asked.Add($i); "p$i" } } | New-BatchRequest -Model m | Select-Object -First 1
            $first.CustomId | Should -BeExactly 'request-1'
            $asked.Count | Should -Be 1
        }

        It 'escapes only what JSON requires' {
            $text = "quote `" slash / back \ tab `t line`r`nbell $([char]7) <b>&'+ ünï 漢字 😀 $([char]0x2028)"
            $request = New-BatchRequest $text -Model m
            $request.Body | Should -BeLike '*<b>&''+ ünï 漢字 😀*'
            $request.Body | Should -Not -Match '\\u(?!0007)'
            ($request | Get-Body).messages[0].content | Should -BeExactly $text
        }
    }

    Context 'input' {
        It 'uses the strings of the pipeline as prompts' {
            $content = 'a', 'b' | New-BatchRequest -Model m | Get-Body | ForEach-Object { $_.messages[0].content }
            $content | Should -Be 'a', 'b'
        }

        It 'binds Prompt, SystemPrompt and CustomId by property name' {
            $row = [pscustomobject]@{ Prompt = 'p'; SystemPrompt = 's'; CustomId = 'c' }
            $request = $row | New-BatchRequest -Model m
            $request.CustomId | Should -BeExactly 'c'
            ($request | Get-Body).messages | ForEach-Object { "$($_.role)=$($_.content)" } | Should -Be 'system=s', 'user=p'
        }

        It 'binds the keys of a dictionary like properties, ignoring case' {
            $rows = @{ Prompt = 'p'; SystemPrompt = 's'; CustomId = 'c'; Image = 'https://a/1.png', 'https://a/2.png'; Model = 'wrong' }, [ordered]@{ prompt = 'q'; custom_id = 'd' },
            [System.Collections.Generic.Dictionary[string, object]]@{}
            $rows[2].PROMPT = 5
            $requests = $rows | New-BatchRequest -Model m
            $requests.CustomId | Should -Be 'c', 'd', 'request-3'
            $requests[0].Body | Should -BeExactly '{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"p"},{"type":"image_url","image_url":{"url":"https://a/1.png"}},{"type":"image_url","image_url":{"url":"https://a/2.png"}}]}]}'
            $requests[1].Body | Should -BeExactly '{"model":"m","messages":[{"role":"user","content":"q"}]}'
            $requests[2].Body | Should -BeExactly '{"model":"m","messages":[{"role":"user","content":"5"}]}'
            foreach ($i in 0..2) { [object]::ReferenceEquals($requests[$i].InputObject, $rows[$i]) | Should -BeTrue }
        }

        It 'prefers a parameter to the key of a dictionary, and uses no key for the next object' {
            $rows = @{ Prompt = 'p'; CustomId = 'c'; SystemPrompt = 's'; Text = 't' }, 'plain', [pscustomobject]@{ Prompt = 'o' }
            $requests = $rows | New-BatchRequest -Model m
            $requests.CustomId | Should -Be 'c', 'request-2', 'request-3'
            $requests[1, 2].Body | Should -Be '{"model":"m","messages":[{"role":"user","content":"plain"}]}', '{"model":"m","messages":[{"role":"user","content":"o"}]}'
            $given = $rows[0] | New-BatchRequest -Model m -Prompt { $_.Text } -CustomId own
            $given.CustomId | Should -BeExactly 'own'
            ($given | Get-Body).messages.content | Should -Be 's', 't'
        }

        It 'shows no control characters and no halves of surrogate pairs of an input object: <Name>' -ForEach @(
            @{ Name = 'escape sequence'; Text = "a$([char]27)[2Jb" }
            @{ Name = 'long text'; Text = "$('x' * 50)$([char]27)]0;t$([char]7)$('y' * 50)" }
            @{ Name = 'half a pair'; Text = "a$([char]0xd83d)b" }
            @{ Name = 'half a pair at the cut'; Text = "$('x' * 51)$([char]0xde00)$('y' * 9)" }
        ) {
            $null = [pscustomobject]@{ Other = $Text } | New-BatchRequest -Model m -ErrorVariable failures -ErrorAction SilentlyContinue
            Get-ErrorId $failures[0] | Should -BeExactly 'PromptMissing'
            "$($failures[0])$($failures[0].Exception.Message)" | Should -Match "$([char]0xfffd)"
            "$($failures[0])$($failures[0].Exception.Message)" | Should -Not -Match '[\x00-\x1f\x7f-\x9f\ud800-\udfff]'
        }

        It 'names the keys of a dictionary without a prompt' {
            $null = @{ Body = 'b' } | New-BatchRequest -Model m -ErrorVariable failures -ErrorAction SilentlyContinue
            Get-ErrorId $failures[0] | Should -BeExactly 'PromptMissing'
            "$($failures[0])" | Should -BeLike 'Input object 1 has no prompt*Its properties: Body.'
        }

        It 'does not use other columns by accident' {
            $row = [pscustomobject]@{ Prompt = 'p'; Model = 'wrong'; System = 'wrong'; Endpoint = '/wrong'; Body = '{"wrong":1}'; Temperature = 2; Message = 'wrong' }
            $request = $row | New-BatchRequest -Model m
            $request.Url | Should -BeExactly '/v1/chat/completions'
            $request.Body | Should -BeExactly '{"model":"m","messages":[{"role":"user","content":"p"}]}'
        }

        It 'accepts script blocks for Prompt, SystemPrompt, CustomId and Image' {
            $row = [pscustomobject]@{ Text = 'p'; Role = 's'; Id = 42; Picture = 'https://example.org/a.png' }
            $request = $row | New-BatchRequest -Model m -Prompt { $_.Text } -SystemPrompt { $_.Role } -CustomId { "row-$($_.Id)" } -Image { $_.Picture }
            $request.CustomId | Should -BeExactly 'row-42'
            $body = $request | Get-Body
            $body.messages[0].content | Should -BeExactly 's'
            $body.messages[1].content[0].text | Should -BeExactly 'p'
            $body.messages[1].content[1].image_url.url | Should -BeExactly 'https://example.org/a.png'
        }

        It 'accepts an empty text as a prompt' {
            $row = [pscustomobject]@{ Text = '' }
            $body = $row | New-BatchRequest -Model m -Prompt { $_.Text } | Get-Body
            $body.messages[0].content | Should -BeExactly ''
        }

        It 'omits an empty system prompt' {
            $row = [pscustomobject]@{ Prompt = 'p'; SystemPrompt = '' }
            ($row | New-BatchRequest -Model m | Get-Body).messages | Should -HaveCount 1
        }
    }

    Context 'values that become text' {
        It 'writes <Name> as <Text> in every culture' -ForEach @(
            @{ Name = 'a date in UTC'; Value = [datetime]::new(2026, 1, 1, 0, 0, 0, [DateTimeKind]::Utc); Text = '2026-01-01T00:00:00Z' }
            @{ Name = 'a date without a zone'; Value = [datetime]::new(2026, 1, 1, 10, 0, 0, 7); Text = '2026-01-01T10:00:00.007' }
            @{ Name = 'DateTimeOffset'; Value = [DateTimeOffset]::new(2026, 1, 1, 0, 0, 0, [timespan]::FromHours(-3)); Text = '2026-01-01T00:00:00-03:00' }
            @{ Name = 'DateOnly'; Value = [DateOnly]::new(2026, 1, 2); Text = '2026-01-02' }
            @{ Name = 'TimeOnly'; Value = [TimeOnly]::new(1, 2, 3, 4); Text = '01:02:03.004' }
            @{ Name = 'Half'; Value = [Half]1.5; Text = '1.5' }
            @{ Name = 'double'; Value = 1234567.5; Text = '1234567.5' }
            @{ Name = 'decimal'; Value = 1.10d; Text = '1.10' }
            @{ Name = 'BigInteger'; Value = [bigint]::Parse('123456789012345678901'); Text = '123456789012345678901' }
            @{ Name = 'enum'; Value = [DayOfWeek]::Friday; Text = 'Friday' }
            @{ Name = 'guid'; Value = [guid]'01020304-0506-0708-090a-0b0c0d0e0f10'; Text = '01020304-0506-0708-090a-0b0c0d0e0f10' }
            @{ Name = 'JSON text'; Value = [System.Text.Json.Nodes.JsonValue]::Create('x'); Text = 'x' }
        ) {
            $before = [cultureinfo]::CurrentCulture
            try {
                foreach ($culture in 'en-US', 'de-DE', 'ar-SA') {
                    [cultureinfo]::CurrentCulture = $culture
                    $value = $Value
                    $request = [pscustomobject]@{ Prompt = 'x' } | New-BatchRequest -Model m -Prompt { $value } -SystemPrompt { $value } -CustomId { $value }
                    $body = $request.Body | ConvertFrom-Json -AsHashtable -DateKind String
                    $body.messages[0].content, $body.messages[1].content, $request.CustomId | Should -Be $Text, $Text, $Text
                    $bound = [pscustomobject]@{ Prompt = $value; CustomId = $value } | New-BatchRequest -Model m
                    $bound.CustomId | Should -BeExactly $Text
                    (New-BatchRequest $value -Model m).Body | Should -BeExactly ($bound.Body)
                }
            }
            finally { [cultureinfo]::CurrentCulture = $before }
        }

        It 'rejects <Name>, and names the row and what to use' -ForEach @(
            @{ Name = 'a hashtable'; Value = { @{ a = 1 } }; Says = '*object (Hashtable), not text*ConvertTo-Json*' }
            @{ Name = 'an object'; Value = { [pscustomobject]@{ a = 1 } }; Says = '*object (PSCustomObject), not text*ConvertTo-Json*' }
            @{ Name = 'an array'; Value = { 'a', 'b' }; Says = '*list*-join*' }
            @{ Name = 'a list of objects'; Value = { , [System.Collections.Generic.List[object]]@(@{}) }; Says = '*list*' }
            @{ Name = 'XML'; Value = { ([xml]'<a>x</a>').DocumentElement }; Says = '*XML (XmlElement), not text*InnerText*' }
            @{ Name = 'XElement'; Value = { [System.Xml.Linq.XElement]::Parse('<a>x</a>') }; Says = '*XML*' }
            @{ Name = 'a secret'; Value = { [securestring]::new() }; Says = '*must not contain a secret*' }
            @{ Name = 'credentials'; Value = { [pscredential]::new('u', [securestring]::new()) }; Says = '*must not contain a secret*' }
            @{ Name = 'JObject'; Value = { , [Newtonsoft.Json.Linq.JObject]::Parse('{}') }; Says = '*object*not text*' }
            @{ Name = 'an object whose text is the name of its type'; Value = { [System.Random]::new() }; Says = '*object (*Random), not text*' }
        ) {
            $script = $Value
            foreach ($parameters in @{ Prompt = $script }, @{ Prompt = 'p'; SystemPrompt = $script }, @{ Prompt = 'p'; CustomId = $script }) {
                $rows = [pscustomobject]@{ Id = 1 }, [pscustomobject]@{ Id = 2 }
                $null = $rows | New-BatchRequest -Model m @parameters -ErrorVariable failures -ErrorAction SilentlyContinue
                $failures | Should -HaveCount 2
                Get-ErrorId $failures[1] | Should -BeExactly 'InvalidValue'
                "$($failures[1])" | Should -BeLike "Input object 2 *$Says"
            }
        }

        It 'runs script blocks as PowerShell does: $_, $PSItem, variables of the caller, no new variables' {
            $outer = 'o'
            $request = [pscustomobject]@{ A = 'a' } | New-BatchRequest -Model m -Prompt { $outer = "$outer$($_.A)"; $outer } -CustomId { $PSItem.A + 'x' }
            ($request.Body | ConvertFrom-Json).messages[0].content | Should -BeExactly 'oa'
            $request.CustomId | Should -BeExactly 'ax'
            $outer | Should -BeExactly 'o'
        }
    }

    Context 'custom_id' {
        It 'numbers requests in input order, including omitted ones' {
            $ids = 'a', $null, 'c' | New-BatchRequest -Model m -ErrorAction SilentlyContinue | ForEach-Object CustomId
            $ids | Should -Be 'request-1', 'request-3'
        }

        It 'omits a duplicate and names both places' {
            $rows = 1, 2, 1 | ForEach-Object { [pscustomobject]@{ Prompt = 'p'; CustomId = "id-$_"; Tag = [guid]::NewGuid() } }
            $requests = $rows | New-BatchRequest -Model m -ErrorVariable failures -ErrorAction SilentlyContinue
            $requests.CustomId | Should -Be 'id-1', 'id-2'
            $failures | Should -HaveCount 1
            Get-ErrorId $failures[0] | Should -BeExactly 'DuplicateCustomId'
            $failures[0].TargetObject | Should -Be $rows[2]
            $failures[0].Exception.Message | Should -BeLike "Input object 3 *input object 1 *'id-1'*"
        }

        It 'detects a default ID that is already used' {
            $rows = [pscustomobject]@{ Prompt = 'p'; CustomId = 'request-2' }, [pscustomobject]@{ Prompt = 'p' }
            $null = $rows | New-BatchRequest -Model m -ErrorVariable failures -ErrorAction SilentlyContinue
            Get-ErrorId $failures[0] | Should -BeExactly 'DuplicateCustomId'
        }
    }

    Context 'endpoints' {
        It 'accepts the short name <_>' -ForEach 'chat', '/chat', 'chat/completions', '/chat/completions', 'v1/chat/completions', 'CHAT', 'completions', '/embeddings', 'responses', 'v1/moderations' {
            $expected = '/v1/' + ($_.ToLower().TrimStart('/') -replace '^v1/' -replace '^chat$', 'chat/completions')
            (New-BatchRequest x -Model m -Endpoint $_).Url | Should -BeExactly $expected
        }

        It 'writes <Endpoint> as <Expected>' -ForEach @(
            @{ Endpoint = '/v1/completions'; Expected = '{"model":"m","prompt":"p","max_tokens":5}' }
            @{ Endpoint = '/v1/responses'; Expected = '{"model":"m","input":"p","max_output_tokens":5}' }
            @{ Endpoint = '/v1/chat/ds-test'; Expected = '{"model":"m","messages":[{"role":"user","content":"p"}],"max_tokens":5}' }
        ) {
            $request = New-BatchRequest 'p' -Model m -MaxTokens 5 -Endpoint $Endpoint
            $request.Url | Should -BeExactly $Endpoint
            $request.Body | Should -BeExactly $Expected
        }

        It 'writes the text to embed as input' {
            (New-BatchRequest 'p' -Model m -Endpoint /v1/embeddings).Body | Should -BeExactly '{"model":"m","input":"p"}'
        }

        It 'needs no model for moderations' {
            (New-BatchRequest 'p' -Endpoint /v1/moderations).Body | Should -BeExactly '{"input":"p"}'
        }

        It 'writes a system prompt as instructions for /v1/responses' {
            (New-BatchRequest 'p' -Model m -Endpoint /v1/responses -SystemPrompt s).Body |
                Should -BeExactly '{"model":"m","instructions":"s","input":"p"}'
        }

        It 'rejects parameters that an endpoint does not support' {
            $failure = Get-Failure { New-BatchRequest 'p' -Model m -Endpoint /v1/embeddings -MaxTokens 5 }
            Get-ErrorId $failure | Should -BeExactly 'ParameterNotForEndpoint'
            $failure = Get-Failure { New-BatchRequest 'p' -Model m -Endpoint /v1/completions -ResponseSchema @{} }
            Get-ErrorId $failure | Should -BeExactly 'ParameterNotForEndpoint'
            $null = New-BatchRequest 'p' -Model m -Endpoint /v1/completions -SystemPrompt s -ErrorVariable failures -ErrorAction SilentlyContinue
            Get-ErrorId $failures[0] | Should -BeExactly 'ParameterNotForEndpoint'
        }
    }

    Context 'parameters of the model' {
        It 'writes them with the names of the API' {
            $body = New-BatchRequest p -Model m -MaxTokens 5 -Temperature 0 -TopP 0.9 -Seed 7 -Stop 'a', 'b' | Get-Body
            $body.max_tokens | Should -Be 5
            $body.temperature | Should -Be 0
            $body.top_p | Should -Be 0.9
            $body.seed | Should -Be 7
            $body.stop | Should -Be 'a', 'b'
        }

        It 'writes -MaxTokens for <Model> at <Provider> as <Field>' -ForEach @(
            @{ Provider = 'OpenAI'; Model = 'o4-mini'; Field = 'max_completion_tokens' }
            @{ Provider = 'OpenAI'; Model = 'gpt-5-mini'; Field = 'max_completion_tokens' }
            @{ Provider = 'OpenAI'; Model = 'ft:o4-mini-2025-04-16:org::id'; Field = 'max_completion_tokens' }
            @{ Provider = 'OpenAI'; Model = 'gpt-4o-mini'; Field = 'max_tokens' }
            @{ Provider = 'AzureOpenAI'; Model = 'our-gpt5-deployment'; Field = 'max_completion_tokens' }
            @{ Provider = 'AzureOpenAI'; Model = 'gpt-35-turbo'; Field = 'max_tokens' }
            @{ Provider = 'Groq'; Model = 'gpt-5'; Field = 'max_tokens' }
            @{ Provider = 'Local'; Model = 'gpt-5'; Field = 'max_tokens' }
        ) {
            $connection = [InferenceBatch.Service.ServiceConnection]::new('https://example.org/v1', [InferenceBatch.Service.ServiceProfile]::Find($Provider), 'k')
            $request = New-BatchRequest p -Model $Model -MaxTokens 5 -Connection $connection -WarningVariable warnings
            $request.Body | Should -BeExactly ('{"model":"' + $Model + '","messages":[{"role":"user","content":"p"}],"' + $Field + '":5}')
            $warnings | Should -BeNullOrEmpty
        }

        It 'knows the service by <Name>, without a key and without a call' -ForEach @(
            @{ Name = '-BaseUri'; Given = @{ BaseUri = 'https://ours.openai.azure.com/openai/v1' } }
            @{ Name = 'the session'; Session = 'OpenAI'; Given = @{} }
            @{ Name = 'the session, which is at -BaseUri'; Session = 'OpenAI'; Given = @{ BaseUri = 'https://api.openai.com/v1/' } }
            @{ Name = 'INFERENCE_BASE_URL'; Variable = 'https://api.openai.com/v1'; Given = @{} }
        ) {
            $old = $env:INFERENCE_BASE_URL
            try {
                $env:INFERENCE_BASE_URL = $Variable
                if ($Session) { Connect-BatchService $Session -ApiKey k }
                $requests = 'p', 'q' | New-BatchRequest -Model o3 -MaxTokens 5 -WarningVariable warnings @Given
                ($requests | Get-Body).max_completion_tokens | Should -Be 5, 5
                $warnings | Should -BeNullOrEmpty
            }
            finally {
                $env:INFERENCE_BASE_URL = $old
                Disconnect-BatchService
            }
        }

        It 'prefers the model of -Body, and an endpoint without a version is a chat endpoint too' {
            $azure = @{ BaseUri = 'https://ours.openai.azure.com/openai/v1'; MaxTokens = 5 }
            (New-BatchRequest p -Model gpt-4o -Body @{ model = 'o3' } -Endpoint /chat/completions @azure | Get-Body).max_completion_tokens | Should -Be 5
            (New-BatchRequest p -Model o3 -Body @{ model = 'gpt-4o' } @azure | Get-Body).max_tokens | Should -Be 5
        }

        It 'keeps the field of <Endpoint> for a reasoning model' -ForEach @(
            @{ Endpoint = '/v1/responses'; Field = 'max_output_tokens' }
            @{ Endpoint = '/v1/completions'; Field = 'max_tokens' }
        ) {
            $request = New-BatchRequest p -Model o3 -MaxTokens 5 -Endpoint $Endpoint -BaseUri https://api.openai.com/v1 -WarningVariable warnings
            ($request | Get-Body).$Field | Should -Be 5
            $warnings | Should -BeNullOrEmpty
        }

        It 'keeps max_tokens for a reasoning model without a connection, and warns once: <Name>' -ForEach @(
            @{ Name = 'nothing chosen'; Given = @{} }
            @{ Name = 'an address that is not valid'; Variable = 'nonsense'; Given = @{} }
        ) {
            $old = $env:INFERENCE_BASE_URL
            try {
                $env:INFERENCE_BASE_URL = $Variable
                $requests = 'p', 'q' | New-BatchRequest -Model o3 -MaxTokens 5 -WarningVariable warnings -WarningAction SilentlyContinue @Given
                ($requests | Get-Body).max_tokens | Should -Be 5, 5
                $warnings | Should -HaveCount 1
                "$warnings" | Should -BeLike "'o3' *max_tokens*Connect-BatchService*-Connection*-Body @{ max_completion_tokens = 5 }*"
            }
            finally { $env:INFERENCE_BASE_URL = $old }
        }

        It 'does not warn about a reasoning model without -MaxTokens' {
            $null = New-BatchRequest p -Model o3 -Body @{ max_completion_tokens = 5 } -WarningVariable warnings
            $warnings | Should -BeNullOrEmpty
        }

        It 'puts -Message between the system prompt and the prompt' {
            $examples = @{ role = 'user'; content = 'e' }, [pscustomobject]@{ role = 'assistant'; content = 'f' }
            $messages = New-BatchRequest p -Model m -SystemPrompt s -Message $examples | Get-Body | ForEach-Object messages
            $messages.role | Should -Be 'system', 'user', 'assistant', 'user'
            $messages.content | Should -Be 's', 'e', 'f', 'p'
        }

        It 'needs no prompt with -Message' {
            (New-BatchRequest -Model m -Message @{ role = 'user'; content = 'only' } | Get-Body).messages.content | Should -Be 'only'
        }

        It 'wraps a schema, as strict only if it meets the requirements of strict mode' {
            $schema = [ordered]@{
                type = 'object'; properties = [ordered]@{ answer = @{ type = 'string' } }; required = @('answer'); additionalProperties = $false
            }
            $format = (New-BatchRequest p -Model m -ResponseSchema $schema | Get-Body).response_format
            $format.type | Should -BeExactly 'json_schema'
            $format.json_schema.name | Should -Not -BeNullOrEmpty
            $format.json_schema.strict | Should -BeTrue
            $format.json_schema.schema.required | Should -Be 'answer'

            $schema.Remove('additionalProperties')
            (New-BatchRequest p -Model m -ResponseSchema $schema | Get-Body).response_format.json_schema.psobject.Properties.Name |
                Should -Not -Contain 'strict'
        }

        It 'accepts a schema as JSON, and writes it in the field for /v1/responses' {
            $format = (New-BatchRequest p -Model m -Endpoint /v1/responses -ResponseSchema '{"name":"n","schema":{"type":"object"}}' | Get-Body).text.format
            $format.type | Should -BeExactly 'json_schema'
            $format.name | Should -BeExactly 'n'
            $format.schema.type | Should -BeExactly 'object'
        }

        It 'wraps a function and leaves a complete tool unchanged' {
            $tools = (New-BatchRequest p -Model m -Tool @{ name = 'f'; parameters = @{} }, '{"type":"custom","x":1}' | Get-Body).tools
            $tools[0].type | Should -BeExactly 'function'
            $tools[0].function.name | Should -BeExactly 'f'
            $tools[1].x | Should -Be 1
        }
    }

    Context '-Body' {
        It 'overrides every other parameter and adds any field' {
            $body = New-BatchRequest p -Model m -MaxTokens 5 -Body @{ model = 'n'; max_tokens = 9; reasoning_effort = 'low' } | Get-Body
            $body.model | Should -BeExactly 'n'
            $body.max_tokens | Should -Be 9
            $body.reasoning_effort | Should -BeExactly 'low'
            $body.messages[0].content | Should -BeExactly 'p'
        }

        It 'keeps the order of names: <Name>' -ForEach @(
            @{ Name = 'ordered'; Value = { [ordered]@{ z = 1; a = [ordered]@{ y = 1; b = 2 } } } }
            @{ Name = 'ConvertFrom-Json -AsHashtable'; Value = { '{"z":1,"a":{"y":1,"b":2}}' | ConvertFrom-Json -AsHashtable } }
            @{ Name = 'PSCustomObject'; Value = { '{"z":1,"a":{"y":1,"b":2}}' | ConvertFrom-Json } }
            @{ Name = 'generic dictionary'; Value = { $d = [System.Collections.Generic.Dictionary[object, object]]::new(); $d['z'] = 1; $d['a'] = [ordered]@{ y = 1; b = 2 }; $d } }
            @{ Name = 'JsonObject'; Value = { , [System.Text.Json.Nodes.JsonNode]::Parse('{"z":1,"a":{"y":1,"b":2}}') } }
            @{ Name = 'JObject'; Value = { , [Newtonsoft.Json.Linq.JObject]::Parse('{"z":1,"a":{"y":1,"b":2}}') } }
            @{ Name = 'ExpandoObject'; Value = { $e = [System.Dynamic.ExpandoObject]::new(); $e.z = 1; $e.a = [ordered]@{ y = 1; b = 2 }; , $e } }
        ) {
            $object = & $Value
            (New-BatchRequest p -Model m -Body @{ v = $object }).Body | Should -BeLike '*"v":{"z":1,"a":{"y":1,"b":2}}*'
            (New-BatchRequest p -Model m -Body $object).Body | Should -BeLike '*"z":1,"a":{"y":1,"b":2}}'
            (New-BatchRequest p -Model m -Message $object).Body | Should -BeLike '*"messages":`[{"z":1,"a":{"y":1,"b":2}},*'
            (New-BatchRequest p -Model m -ResponseSchema $object).Body | Should -BeLike '*"schema":{"z":1,"a":{"y":1,"b":2}}*'
        }

        It 'sorts the names of dictionaries without an order: <Name>' -ForEach @(
            @{ Name = 'hashtable'; Value = { @{ b = 1; a = 2; c = 3 } } }
            @{ Name = 'synchronized hashtable'; Value = { [hashtable]::Synchronized(@{ b = 1; a = 2; c = 3 }) } }
            @{ Name = 'ConcurrentDictionary'; Value = { $d = [System.Collections.Concurrent.ConcurrentDictionary[string, int]]::new(); $d['b'] = 1; $d['a'] = 2; $d['c'] = 3; $d } }
            @{ Name = 'SortedDictionary'; Value = { $d = [System.Collections.Generic.SortedDictionary[string, int]]::new(); $d['b'] = 1; $d['a'] = 2; $d['c'] = 3; $d } }
        ) {
            (New-BatchRequest p -Model m -Body @{ v = (& $Value) }).Body | Should -BeLike '*"v":{"a":2,"b":1,"c":3}*'
        }

        It 'writes <Name> as <Json>' -ForEach @(
            @{ Name = 'Half'; Value = [Half]0.1; Json = '0.1' }
            @{ Name = 'float'; Value = [float]0.1; Json = '0.1' }
            @{ Name = 'StringBuilder'; Value = [Text.StringBuilder]::new('sb'); Json = '"sb"' }
            @{ Name = 'JsonValue'; Value = [System.Text.Json.Nodes.JsonNode]::Parse('[1,"x",null]'); Json = '`[1,"x",null`]' }
            @{ Name = 'JsonDocument'; Value = [System.Text.Json.JsonDocument]::Parse('{"a":1}'); Json = '{"a":1}' }
            @{ Name = 'JArray'; Value = [Newtonsoft.Json.Linq.JArray]::Parse('[1,"x",null]'); Json = '`[1,"x",null`]' }
            @{ Name = 'a date with a fraction'; Value = [datetime]::new(2026, 1, 1, 2, 3, 4, 50, [DateTimeKind]::Utc); Json = '"2026-01-01T02:03:04.05Z"' }
            @{ Name = 'DateTimeOffset'; Value = [DateTimeOffset]::new(2026, 1, 1, 0, 0, 0, [timespan]::FromHours(2)); Json = '"2026-01-01T00:00:00+02:00"' }
            @{ Name = 'DateOnly'; Value = [DateOnly]::new(2026, 1, 2); Json = '"2026-01-02"' }
            @{ Name = 'TimeOnly'; Value = [TimeOnly]::new(1, 2, 3); Json = '"01:02:03"' }
        ) {
            (New-BatchRequest p -Model m -Body @{ v = @{ w = $Value } }).Body | Should -BeLike ('*"v":{"w":' + $Json + '}*')
        }

        It 'rejects XML: <_>' -ForEach ([xml]'<a>x</a>'), ([xml]'<a>x</a>').DocumentElement, ([System.Xml.Linq.XElement]::Parse('<a>x</a>')) {
            (Get-Failure { New-BatchRequest p -Model m -Body @{ v = $_ } }).Exception.Message | Should -BeLike "*'v'*XML*InnerText*"
        }

        It 'is sufficient alone, also as JSON' {
            (New-BatchRequest -Body '{"model":"m", "messages":[]}').Body | Should -BeExactly '{"model":"m","messages":[]}'
        }

        It 'writes PowerShell values' {
            $value = [ordered]@{
                text = 'é'; int = 1; big = [long]::MaxValue; real = 0.1; money = 1.10d; yes = $true; none = $null; list = @(1, @(2), @())
                when = [datetime]::new(2024, 1, 2, 3, 4, 5, [System.DateTimeKind]::Utc); colour = [DayOfWeek]::Friday; object = [pscustomobject]@{ a = 1 }
                wrapped = [psobject]::AsPSObject('w')
            }
            (New-BatchRequest p -Model m -Body @{ v = $value }).Body | Should -BeLike (
                '*"v":{"text":"é","int":1,"big":9223372036854775807,"real":0.1,"money":1.10,"yes":true,"none":null,"list":[[]1,[[]2],[[]]],' +
                '"when":"2024-01-02T03:04:05Z","colour":"Friday","object":{"a":1},"wrapped":"w"}*')
        }

        It 'writes the same hashtable the same way in every process' {
            $command = '(New-BatchRequest p -Body @{ model = 1; b = 2; a = 3; z = 4; k = 5 }).Body'
            $module = $ModulePath
            $other = Invoke-PowerShell -Command "Import-Module '$module'; $command"
            $other | Should -BeExactly (& ([scriptblock]::Create($command)))
        }

        It 'rejects <Name>' -ForEach @(
            @{ Name = 'text that is not JSON'; Value = 'nonsense'; Message = '*not valid JSON*' }
            @{ Name = 'JSON that is not an object'; Value = '[1]'; Message = '*must be an object*' }
            @{ Name = 'a number that JSON cannot represent'; Value = @{ a = [double]::NaN }; Message = "*'a'*NaN*" }
            @{ Name = 'a script block'; Value = @{ a = @(1, @{ b = { 1 } }) }; Message = "*'a``[1``].b'*ScriptBlock*" }
            @{ Name = 'a secret'; Value = @{ key = [securestring]::new() }; Message = "*'key'*secret*" }
            @{ Name = 'half a surrogate pair'; Value = @{ a = "x$([char]0xD800)" }; Message = "*'a'*surrogate*" }
            @{ Name = 'half a surrogate pair in JSON'; Value = '{"a":"\ud800"}'; Message = '*surrogate*' }
        ) {
            (Get-Failure { New-BatchRequest p -Model m -Body $Value }).Exception.Message | Should -BeLike $Message
        }

        It 'rejects a value that contains itself' {
            $loop = @{}
            $loop.self = $loop
            (Get-Failure { New-BatchRequest p -Model m -Body $loop }).Exception.Message | Should -BeLike '*contains itself*'
        }
    }

    Context '-Image' {
        BeforeAll {
            $png = Join-Path $TestDrive 'dot.dat'
            [System.IO.File]::WriteAllBytes($png, [byte[]](0x89, 0x50, 0x4E, 0x47, 1, 2, 3))
        }

        It 'sends a local file as a data URL with the type of its content' {
            $content = (New-BatchRequest p -Model m -Image $png | Get-Body).messages[0].content
            $content[0].text | Should -BeExactly 'p'
            $content[1].type | Should -BeExactly 'image_url'
            $content[1].image_url.url | Should -BeExactly 'data:image/png;base64,iVBORwECAw=='
        }

        It 'resolves a PSDrive' {
            Push-Location $TestDrive
            try {
                (New-BatchRequest p -Model m -Image TestDrive:/dot.dat, ./dot.dat | Get-Body).messages[0].content | Should -HaveCount 3
            }
            finally {
                Pop-Location
            }
        }

        It 'writes an image in the format of /v1/responses' {
            $content = (New-BatchRequest p -Model m -Endpoint /v1/responses -Image https://example.org/a.png | Get-Body).input[0].content
            $content[0].type | Should -BeExactly 'input_text'
            $content[1].type | Should -BeExactly 'input_image'
            $content[1].image_url | Should -BeExactly 'https://example.org/a.png'
        }

        It 'reports <Id> for <Name>, and continues' -ForEach @(
            @{ Name = 'a file that does not exist'; Path = 'nowhere.png'; Id = 'FileNotFound' }
            @{ Name = 'a folder'; Path = '.'; Id = 'NotAFile' }
            @{ Name = 'a file that is not an image'; Path = 'notes.txt'; Id = 'InvalidValue' }
        ) {
            Set-Content (Join-Path $TestDrive notes.txt) 'text'
            $rows = [pscustomobject]@{ Prompt = 'a'; Image = Join-Path $TestDrive $Path }, [pscustomobject]@{ Prompt = 'b' }
            $requests = $rows | New-BatchRequest -Model m -ErrorVariable failures -ErrorAction SilentlyContinue
            $requests | Should -HaveCount 1
            $failures | Should -HaveCount 1
            Get-ErrorId $failures[0] | Should -BeExactly $Id
        }
    }

    Context 'bad input' {
        It 'reports PromptMissing for an object without the property that a script block reads, and continues' {
            $rows = [pscustomobject]@{ Body = 'a' }, [pscustomobject]@{ Other = 'x' }, [pscustomobject]@{ Body = 'c' }
            $requests = $rows | New-BatchRequest -Model m -Prompt { $_.Body } -ErrorVariable failures -ErrorAction SilentlyContinue
            $requests | Should -HaveCount 2
            $failures | Should -HaveCount 1
            Get-ErrorId $failures[0] | Should -BeExactly 'PromptMissing'
            $failures[0].CategoryInfo.Category | Should -Be 'InvalidData'
            $failures[0].TargetObject | Should -Be $rows[1]
            $failures[0].Exception.Message | Should -BeLike 'Input object 2 (@{Other=x}) *'
        }

        It 'reports PromptMissing for <Name>' -ForEach @(
            @{ Name = '$null'; Value = @($null) }
            @{ Name = 'a number'; Value = @(5) }
            @{ Name = 'an object with a $null prompt'; Value = @([pscustomobject]@{ Prompt = $null }) }
        ) {
            $null = $Value | New-BatchRequest -Model m -ErrorVariable failures -ErrorAction SilentlyContinue
            Get-ErrorId $failures[0] | Should -BeExactly 'PromptMissing'
        }

        It 'ends at once if -Prompt is $null for every object because of missing braces' {
            $rows = 1..25 | ForEach-Object { [pscustomobject]@{ Body = 'b' } }
            $null = $null | ForEach-Object { $script:problem = $null; try { $rows | New-BatchRequest -Model m -Prompt $_.Body -ErrorVariable script:failures } catch { $script:problem = $_ } }
            Get-ErrorId $problem | Should -BeExactly 'PromptMissing'
            "$problem" | Should -Be '-Prompt is $null for every input object. To take the text from each object, use braces, for example -Prompt { $_.Body }.'
            ('text' | New-BatchRequest -Model m -Prompt $null).CustomId | Should -Be 'request-1'
            $rows[0] | New-BatchRequest -Model m -Prompt $null -Message @{ role = 'user'; content = 'c' } | Should -HaveCount 1
        }

        It 'ends with one error if ten rows in a row fail for the same reason: <Name>' -ForEach @(
            @{ Name = 'a misspelled property'; Parameters = @{ Prompt = { $_.Boyd } }; Id = 'PromptMissing'; Says = '*Its properties: Id, Body, Title.*has no property Boyd. Did you mean Body?' }
            @{ Name = 'a key that does not exist'; Parameters = @{ Prompt = { $_['Titel'] } }; Id = 'InvalidValue|PromptMissing'; Says = '*no property Titel. Did you mean Title?' }
            @{ Name = 'no property called Prompt'; Parameters = @{}; Id = 'PromptMissing'; Says = '*Its properties: Id, Body, Title.*' }
            @{ Name = 'a script block that throws'; Parameters = @{ Prompt = { throw 'boom' } }; Id = 'InvalidValue'; Says = '*the script block in -Prompt failed: boom*' }
            @{ Name = 'a script block that throws, for another parameter'; Parameters = @{ Prompt = { $_.Body }; SystemPrompt = { [int]'x' } }; Id = 'InvalidValue'; Says = '*-SystemPrompt failed*' }
            @{ Name = 'objects instead of text'; Parameters = @{ Prompt = { $_ } }; Id = 'InvalidValue'; Says = '*is an object (PSCustomObject), not text*' }
            @{ Name = 'no model'; Parameters = @{ Model = ''; Prompt = { $_.Body } }; Id = 'ModelMissing'; Says = '*10 input objects in a row*' }
            @{ Name = 'an image that does not exist'; Parameters = @{ Prompt = { $_.Body }; Image = { "/none/$($_.Id).png" } }; Id = 'FileNotFound'; Says = '*/none/1.png*' }
        ) {
            $rows = 1..25 | ForEach-Object { [pscustomobject]@{ Id = $_; Body = "b$_"; Title = 't' } }
            $arguments = @{ Model = 'm' }
            foreach ($key in $Parameters.Keys) { $arguments[$key] = $Parameters[$key] }
            $script:written = @()
            $problem = Get-Failure { $rows | New-BatchRequest @arguments -ErrorVariable script:written }
            Get-ErrorId $problem | Should -Match "^($Id)$"
            "$problem" | Should -BeLike $Says
            @($written | Where-Object { $_ -is [System.Management.Automation.ErrorRecord] }).Count | Should -BeLessOrEqual 1
        }

        It 'names the property that was probably meant in each error' {
            $null = [pscustomobject]@{ Id = 1; Body = 'b' } | New-BatchRequest -Model m -Prompt { $_.Bdoy } -ErrorVariable failures -ErrorAction SilentlyContinue
            "$failures" | Should -BeLike '*Its properties: Id, Body. The input object has no property Bdoy. Did you mean Body?'
        }

        It 'warns if a script block is in quotes' {
            $null = [pscustomobject]@{ Body = 'b' } | New-BatchRequest -Model m -Prompt '$_.Body' -WarningVariable warnings -WarningAction SilentlyContinue
            "$warnings" | Should -BeLike "-Prompt is the text '`$_.Body' for every input object.*braces*"
        }

        It 'names the endpoints if -Endpoint is not valid: <_>' -ForEach 'embedding', 'chat completions', '' {
            (Get-Failure { New-BatchRequest x -Model m -Endpoint $_ }).Exception.Message | Should -BeLike '*not a valid endpoint*chat, completions, embeddings*'
        }

        It 'writes an error for each row if one of the first ten is good' {
            $rows = 1..25 | ForEach-Object { [pscustomobject]@{ Id = $_; Body = $_ -eq 10 ? 'good' : $null } }
            $requests = $rows | New-BatchRequest -Model m -Prompt { $_.Body } -ErrorVariable failures -ErrorAction SilentlyContinue
            $requests.CustomId | Should -Be 'request-10'
            $failures | Should -HaveCount 24
            "$($failures[0])" | Should -BeLike 'Input object 1 *'
        }

        It 'writes the errors of fewer than ten rows at the end' {
            $rows = 1..9 | ForEach-Object { [pscustomobject]@{ Id = $_ } }
            $null = $rows | New-BatchRequest -Model m -Prompt { $_.Body } -ErrorVariable failures -ErrorAction SilentlyContinue
            $failures | Should -HaveCount 9
        }

        It 'ends with one error if -CustomId is the same for ten rows after the first' {
            $rows = 1..25 | ForEach-Object { [pscustomobject]@{ Id = $_; Body = "b$_" } }
            $problem = Get-Failure { $rows | New-BatchRequest -Model m -Prompt { $_.Body } -CustomId { 'same' } }
            Get-ErrorId $problem | Should -BeExactly 'DuplicateCustomId'
            $mixed = $rows | New-BatchRequest -Model m -Prompt { $_.Body } -CustomId { $_.Id -lt 3 ? $_.Id : 2 } -ErrorVariable failures -ErrorAction SilentlyContinue
            $mixed.CustomId | Should -Be '1', '2'
            $failures | Should -HaveCount 23
        }

        It 'warns once of empty prompts, and leaves them out with -SkipEmpty' {
            $rows = 'a', '', ' ', 'b' | ForEach-Object { [pscustomobject]@{ Body = $_ } }
            $all = $rows | New-BatchRequest -Model m -Prompt { $_.Body } -WarningVariable warnings -WarningAction SilentlyContinue
            $all | Should -HaveCount 4
            "$warnings" | Should -BeExactly '2 input objects have an empty prompt. To leave out such rows, use -SkipEmpty.'
            $some = $rows | New-BatchRequest -Model m -Prompt { $_.Body } -SkipEmpty -WarningVariable warnings -WarningAction SilentlyContinue
            $some.CustomId | Should -Be 'request-1', 'request-4'
            "$warnings" | Should -BeExactly '2 input objects have an empty prompt and were left out (-SkipEmpty).'
            '' | New-BatchRequest -Model m -SkipEmpty -Image https://example.org/a.png | Should -HaveCount 1
        }

        It 'warns once, and early, that all prompts are equal, as with a misspelled property inside a text' {
            $rows = 1..25 | ForEach-Object { [pscustomobject]@{ Id = $_; Body = "b$_" } }
            $null = $rows | New-BatchRequest -Model m -Prompt { "Classify: $($_.Bdoy)" } -WarningVariable warnings -WarningAction SilentlyContinue
            "$warnings" | Should -BeExactly "The first 10 input objects all have the same prompt: 'Classify: '. The last of them has the properties Id, Body. Check the name of the property in -Prompt."
            $null = $rows | ForEach-Object { @{ Id = $_.Id; Prompt = '' } } | New-BatchRequest -Model m -WarningVariable warnings -WarningAction SilentlyContinue
            "$warnings" | Should -BeLike "The first 10 input objects all have the same prompt: ''.*"
        }

        It 'does not warn if prompts may be equal: <Name>' -ForEach @(
            @{ Name = 'texts'; Run = { @('a') * 25 | New-BatchRequest -Model m } }
            @{ Name = 'numbers'; Run = { 1..25 | New-BatchRequest -Model m -Prompt 'Write a poem.' } }
            @{ Name = 'nine rows'; Run = { 1..9 | ForEach-Object { @{ Prompt = 'a' } } | New-BatchRequest -Model m } }
            @{ Name = 'a row that differs'; Run = { 1..25 | ForEach-Object { @{ Prompt = "a$($_ -eq 7)" } } | New-BatchRequest -Model m } }
            @{ Name = 'other instructions'; Run = { 1..25 | ForEach-Object { @{ Prompt = 'a'; SystemPrompt = "$_" } } | New-BatchRequest -Model m } }
            @{ Name = 'images'; Run = { 1..25 | ForEach-Object { @{ Prompt = 'a'; Image = "https://host/$_.png" } } | New-BatchRequest -Model m } }
            @{ Name = 'a message for all'; Run = { 1..25 | ForEach-Object { @{ Id = $_ } } | New-BatchRequest -Model m -Message @{ role = 'user'; content = 'a' } } }
        ) {
            $warnings = & $Run 3>&1 | Where-Object { $_ -is [System.Management.Automation.WarningRecord] }
            $warnings | Should -BeNullOrEmpty
        }

        It 'explains why a text is not JSON: <Says>' -ForEach @(
            @{ Text = 'schema.json'; Says = "The text 'schema.json' is not valid JSON. If it is the name of a file, use (Get-Content -Raw 'schema.json')" }
            @{ Text = "{`n 1}"; Says = 'The text is not valid JSON: error at line 2, byte 2.' }
        ) {
            (Get-Failure { New-BatchRequest x -Model m -ResponseSchema $Text }).Exception.Message | Should -BeLike ('*' + [WildcardPattern]::Escape($Says))
        }

        It 'reports ModelMissing, for each object, without a model' {
            $null = 'a', 'b' | New-BatchRequest -ErrorVariable failures -ErrorAction SilentlyContinue
            $failures | Should -HaveCount 2
            Get-ErrorId $failures[0] | Should -BeExactly 'ModelMissing'
            $failures[0].TargetObject | Should -BeExactly 'a'
        }

        It 'rejects half a surrogate pair, names the row, and replaces nothing' {
            $requests = "x$([char]0xDC00)", 'ok' | New-BatchRequest -Model m -ErrorVariable failures -ErrorAction SilentlyContinue
            $requests | Should -HaveCount 1
            Get-ErrorId $failures[0] | Should -BeExactly 'InvalidValue'
            $failures[0].Exception.Message | Should -BeLike 'Input object 1 *surrogate*'
        }
    }

    Context 'script blocks for parameters with one value' {
        It 'are rejected for -<_>, not used as text' -ForEach 'Model', 'Message', 'ResponseSchema', 'Tool', 'Body', 'Stop', 'Endpoint' {
            $given = @{ $_ = { $_.Model } }
            $failure = Get-Failure { [pscustomobject]@{ Model = 'm'; Prompt = 'p' } | New-BatchRequest @given }
            $failure.Exception.Message | Should -Match 'script block'
        }
    }

    Context 'completion' {
        It 'completes the endpoints' {
            $line = 'New-BatchRequest -Endpoint /v1/e'
            (TabExpansion2 $line $line.Length).CompletionMatches.CompletionText | Should -Be '/v1/embeddings'
        }
    }
}
