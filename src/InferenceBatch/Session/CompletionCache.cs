namespace InferenceBatch.Session;

/// <summary>The latest words of one kind in this session, each with a note, for completion. Thread-safe.</summary>
internal sealed class CompletionCache
{
    private const int MaxRemembered = 50;

    private readonly LinkedList<(string Word, string Note)> _words = [];

    /// <summary>Gets the words, the latest first.</summary>
    public IReadOnlyList<(string Word, string Note)> All
    {
        get
        {
            lock (_words)
            {
                return [.. _words];
            }
        }
    }

    /// <summary>Adds a word, or updates its note. Ignores null and an empty word.</summary>
    /// <param name="word">The word.</param>
    /// <param name="note">The text for its tooltip.</param>
    /// <param name="isListed">Whether it came from a list. Then it does not displace words that the user has used.</param>
    public void Add(string? word, string note, bool isListed = false)
    {
        if (string.IsNullOrEmpty(word))
        {
            return;
        }

        lock (_words)
        {
            LinkedListNode<(string Word, string Note)>? known = Find(word);
            if (isListed && known is not null)
            {
                known.Value = (word, note);
                return;
            }

            if (known is not null)
            {
                _words.Remove(known);
            }

            if (!isListed)
            {
                _words.AddFirst((word, note));
                if (_words.Count > MaxRemembered)
                {
                    _words.RemoveLast();
                }
            }
            else if (_words.Count < MaxRemembered)
            {
                _words.AddLast((word, note));
            }
        }
    }

    public void Remove(string word)
    {
        lock (_words)
        {
            if (Find(word) is { } known)
            {
                _words.Remove(known);
            }
        }
    }

    private LinkedListNode<(string Word, string Note)>? Find(string word)
    {
        LinkedListNode<(string Word, string Note)>? node = _words.First;
        while (node is not null && node.Value.Word != word)
        {
            node = node.Next;
        }

        return node;
    }
}
