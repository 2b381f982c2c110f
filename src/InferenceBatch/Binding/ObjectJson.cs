using System.Buffers;
using System.Collections;
using System.Globalization;
using System.Management.Automation;
using System.Management.Automation.Internal;
using System.Numerics;
using System.Security;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>
/// Writes PowerShell values (dictionaries, PSCustomObjects, arrays, plain values) as compact UTF-8 JSON. Times are the
/// shortest exact ISO 8601, enums their names, bytes base64. Every dictionary keeps its order. Only dictionaries without
/// one, such as a plain hashtable, are sorted by name, so that the same script always writes the same bytes.
/// </summary>
internal static class ObjectJson
{
    /// <summary>The maximum nesting depth. It also detects a value that contains itself.</summary>
    public const int MaxDepth = 100;

    /// <summary>Returns the value as JSON.</summary>
    /// <exception cref="UnwritableValueException">JSON cannot represent the value, or it is nested too deeply or contains itself.</exception>
    public static byte[] ToUtf8(object? value)
    {
        var output = new ArrayBufferWriter<byte>(256);
        using var json = new Utf8JsonWriter(output, LineJson.WriterOptions);
        Write(json, value);
        json.Flush();
        return output.WrittenSpan.ToArray();
    }

    /// <inheritdoc cref="ToUtf8"/>
    public static void Write(Utf8JsonWriter json, object? value) => Write(json, value, 0);

    private static void Write(Utf8JsonWriter json, object? value, int depth)
    {
        if (depth > MaxDepth)
        {
            throw new UnwritableValueException(Messages.Text("Unwritable.TooDeep", MaxDepth));
        }

        object? plain = value is PSObject wrapped ? wrapped.BaseObject : value;
        if (plain is null or DBNull || ReferenceEquals(value, AutomationNull.Value))
        {
            json.WriteNullValue();
        }
        else if (!TryWriteScalar(json, plain))
        {
            WriteContainer(json, value!, plain, depth);
        }
    }

    private static bool TryWriteScalar(Utf8JsonWriter json, object value)
    {
        switch (value)
        {
            case string text:
                WriteText(json, text);
                return true;
            case bool flag:
                json.WriteBooleanValue(flag);
                return true;
            case SwitchParameter flag:
                json.WriteBooleanValue(flag.IsPresent);
                return true;
            case Enum or char or Guid or Uri or Version or TimeSpan or DateTime or DateTimeOffset or DateOnly or TimeOnly or StringBuilder:
                WriteText(json, ValueText.Invariant(value));
                return true;
            case byte[] bytes:
                json.WriteBase64StringValue(bytes);
                return true;
            case RawJson raw:
                json.WriteRawValue(raw.Utf8.Span, skipInputValidation: true);
                return true;
            case JsonElement element:
                WriteElement(json, element);
                return true;
            case JsonDocument document:
                WriteElement(json, document.RootElement);
                return true;
            case JsonNode node:
                WriteElement(json, JsonSerializer.SerializeToElement(node));
                return true;
            case double number:
                WriteNumber(json, number, number);
                return true;
            case float number:
                WriteNumber(json, number, number);
                return true;
            case Half number:
                WriteNumber(json, (double)number, number);
                return true;
            case decimal number:
                json.WriteNumberValue(number);
                return true;
            case sbyte or byte or short or ushort or int or uint or long or ulong or BigInteger or Int128 or UInt128:
                json.WriteRawValue(((IFormattable)value).ToString(null, CultureInfo.InvariantCulture)!);
                return true;
            case SecureString or PSCredential:
                throw new UnwritableValueException(Messages.Text("Unwritable.Secret"));
            case ScriptBlock or Delegate or Type or IntPtr:
                throw new UnwritableValueException(Messages.Text("Unwritable.NoForm", value.GetType().Name));
            default:
                return false;
        }
    }

    private static void WriteContainer(Utf8JsonWriter json, object value, object plain, int depth)
    {
        if (ValueText.IsXml(plain))
        {
            throw new UnwritableValueException(Messages.Text("Unwritable.NotTextXml", plain.GetType().Name));
        }

        if (NewtonsoftJson.IsToken(plain))
        {
            WriteElement(json, NewtonsoftJson.Read(plain));
            return;
        }

        if (DictionaryEntries.Of(plain) is { } entries)
        {
            json.WriteStartObject();
            foreach ((string name, object? entry) in entries)
            {
                WriteProperty(json, name, entry, depth);
            }

            json.WriteEndObject();
            return;
        }

        switch (plain)
        {
            case IEnumerable items:
                json.WriteStartArray();
                int index = 0;
                foreach (object? item in items)
                {
                    WriteWithin(json, $"[{index++}]", item, depth);
                }

                json.WriteEndArray();
                break;
            default:
                json.WriteStartObject();
                foreach (PSPropertyInfo property in PSObject.AsPSObject(value).Properties)
                {
                    if (property.IsGettable)
                    {
                        WriteProperty(json, property.Name, Read(property), depth);
                    }
                }

                json.WriteEndObject();
                break;
        }
    }

    private static void WriteProperty(Utf8JsonWriter json, string name, object? value, int depth)
    {
        JsonText.Check(name);
        json.WritePropertyName(name);
        WriteWithin(json, name, value, depth);
    }

    private static void WriteWithin(Utf8JsonWriter json, string place, object? value, int depth)
    {
        try
        {
            Write(json, value, depth + 1);
        }
        catch (UnwritableValueException exception) when (depth < 8)
        {
            // Names of deeper levels would only make the message longer.
            exception.Within(place);
            throw;
        }
    }

    private static object? Read(PSPropertyInfo property)
    {
        try
        {
            return property.Value;
        }
        catch (GetValueException)
        {
            return null; // The getter threw. ConvertTo-Json writes null too.
        }
    }

    private static void WriteElement(Utf8JsonWriter json, JsonElement element)
    {
        try
        {
            element.WriteTo(json);
        }
        catch (InvalidOperationException)
        {
            throw new UnwritableValueException(Messages.Text("Unwritable.HalfSurrogateInJson"));
        }
    }

    private static void WriteText(Utf8JsonWriter json, string text)
    {
        JsonText.Check(text);
        json.WriteStringValue(text);
    }

    /// <param name="shortest">The number in its own type, whose shortest text that reads back is written: as a double, 0.1f would be 0.10000000149011612.</param>
    private static void WriteNumber(Utf8JsonWriter json, double number, IFormattable shortest)
    {
        if (!double.IsFinite(number))
        {
            throw new UnwritableValueException(Messages.Text("Unwritable.NotFinite", number.ToString(CultureInfo.InvariantCulture)));
        }

        json.WriteRawValue(shortest.ToString("R", CultureInfo.InvariantCulture));
    }
}
