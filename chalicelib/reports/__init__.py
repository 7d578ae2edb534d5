"""What marketers read: reports, returns, attribution models side by side, previews."""
