"""What the OSMH API says and takes, field for field; built from rows by services, never the other way round."""
