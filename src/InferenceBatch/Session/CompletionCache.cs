namespace InferenceBatch.Session;

/// <summary>Words of one kind that a session has met lately, each with a note, for completion. Safe for several threads.</summary>
internal sealed class CompletionCache
{
    private const int MaxRemembered = 50;

    private readonly LinkedList<(string Word, string Note)> _words = [];

    /// <summary>The latest first.</summary>
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

    /// <summary>Remembers a word, or its new note; null and empty are none.</summary>
    /// <param name="word">The word.</param>
    /// <param name="note">What there is to say of it.</param>
    /// <param name="isListed">Whether it was one of many: then it pushes out none that a person named.</param>
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
