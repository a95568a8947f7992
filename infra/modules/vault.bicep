// Secrets of appliances, shares and databases. Rights by role only; what is deleted can be brought back for 90 days.
param name string
param location string
param tags object
param workspaceId string
param privateOnly bool
param administratorRanges string[]

var rules = [for range in administratorRanges: { value: range }]

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: privateOnly && empty(administratorRanges) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: privateOnly ? 'Deny' : 'Allow'
      ipRules: privateOnly ? rules : []
    }
  }
}

// Who read which secret, and who changed one.
resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'AuditEvent', enabled: true }]
  }
}

output vaultId string = vault.id
output vaultName string = vault.name
output vaultUrl string = vault.properties.vaultUri
