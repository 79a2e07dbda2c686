package config

// Engine is a storage engine.
type Engine string

// The engines.
const (
	// EngineEmbedded stores everything in the data folder.
	EngineEmbedded Engine = "embedded"
	// EngineRedis stores everything in Redis, which replicas share.
	EngineRedis Engine = "redis"
)

// Engine returns the engine that the configuration selects.
func (c *Config) Engine() Engine {
	if c.Redis.URL.IsZero() {
		return EngineEmbedded
	}
	return EngineRedis
}
