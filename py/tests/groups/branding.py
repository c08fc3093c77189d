"""branding."""
