// Two accounts, because the Functions host must own the blobs of its own one: host (queues, ledger, code) and data (settings, files).
param token string
param location string
param tags object
param settingsContainer string
param archiveRetentionDays int
param privateOnly bool
param administratorRanges string[]

var ledgerTables = ['bicstate', 'bicitems', 'bicdue', 'bicruns']
var queues = ['bic-visits', 'bic-visits-poison']
var rules = [for range in administratorRanges: { value: range, action: 'Allow' }]
var network = {
  bypass: 'None'
  defaultAction: privateOnly ? 'Deny' : 'Allow'
  ipRules: privateOnly ? rules : []
}

resource host 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: take('stbichost${token}', 24)
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_ZRS' }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    supportsHttpsTrafficOnly: true
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: privateOnly ? 'Disabled' : 'Enabled'
    networkAcls: network
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource deployment 'containers' = {
      name: 'deployment'
      properties: { publicAccess: 'None' }
    }

    resource uploads 'containers' = {
      name: 'bic-uploads'
      properties: { publicAccess: 'None' }
    }
  }

  resource queueService 'queueServices' = {
    name: 'default'

    resource visits 'queues' = [for name in queues: {
      name: name
    }]
  }

  resource tableService 'tableServices' = {
    name: 'default'

    resource ledger 'tables' = [for name in ledgerTables: {
      name: name
    }]
  }
}

// What is staged for a test download is deleted by bic itself; what a killed request left goes after a day.
resource uploadsEnd 'Microsoft.Storage/storageAccounts/managementPolicies@2024-01-01' = {
  parent: host
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'uploads-end'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['bic-uploads/'] }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 1 } } }
          }
        }
      ]
    }
  }
}

resource data 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: take('stbicdata${token}', 24)
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_ZRS' }
  properties: {
    accessTier: 'Cool'
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    supportsHttpsTrafficOnly: true
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: privateOnly && empty(administratorRanges) ? 'Disabled' : 'Enabled'
    networkAcls: network
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      deleteRetentionPolicy: { enabled: true, days: 30 }
      containerDeleteRetentionPolicy: { enabled: true, days: 30 }
    }

    resource settings 'containers' = {
      name: settingsContainer
      properties: { publicAccess: 'None' }
    }

    resource archive 'containers' = {
      name: 'archive'
      properties: { publicAccess: 'None' }

      // Unlocked: it can still be lengthened, shortened and taken away. docs/infrastructure.md: how to lock it for good.
      resource retention 'immutabilityPolicies' = if (archiveRetentionDays > 0) {
        name: 'default'
        properties: {
          immutabilityPeriodSinceCreationInDays: archiveRetentionDays
          allowProtectedAppendWrites: false
        }
      }
    }

    // Apart from the archive: old backups are removed by retention_count, which a retention policy would refuse.
    resource backups 'containers' = {
      name: 'backups'
      properties: { publicAccess: 'None' }
    }
  }
}

output hostStorageId string = host.id
output hostStorageName string = host.name
output hostTableUrl string = host.properties.primaryEndpoints.table
output dataStorageId string = data.id
output dataStorageName string = data.name
output dataBlobUrl string = data.properties.primaryEndpoints.blob
